"""Where runs are, below the working directory: a new one, the last one, one by its name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from zoo_core.errors import BadSetting
from zoo_core.naming import unused_name
from zoo_core.runs.folder import RunFolder

RUNS = Path("runs")


def new_path(root: Path, recipe: str) -> Path:
    """``root/RECIPE/2026-11-24T02-15-33``, with a number behind it if two begin in one second."""
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    folder = root / recipe
    return folder / unused_name(stamp, lambda name: (folder / name).exists())


def last_run() -> Path | None:
    """The run below the working folder that was at work last."""
    began = [path.parent for path in RUNS.glob("*/*/config.yaml")]
    return max(began, key=_at_work, default=None)


def run_called(word: str, usage: str) -> Path:
    """The folder of the run that a person named: its path, or ``last``. ``usage`` is what to type instead.

    Raises:
        BadSetting: if there is none.
    """
    found = last_run() if word == "last" else Path(word)
    if found is None:
        raise BadSetting(f"no run lies below {RUNS} here.", f"Name its folder: {usage}")
    if not RunFolder(found).config.is_file():
        raise BadSetting(f"{found} is no run's folder: it holds no config.yaml.", f"`ls {RUNS}` shows where runs lie.")
    return found


def _at_work(run: Path) -> float:
    """When a run last wrote a line of metrics, or a checkpoint."""
    places = (run / "config.yaml", run / "metrics.jsonl", run / "checkpoints")
    return max(place.stat().st_mtime for place in places if place.exists())


def newest_run(recipe: str) -> Path | None:
    """The newest run of ``recipe`` below the working folder that has a result."""
    finished = [path.parent for path in (RUNS / recipe).glob("*/model.safetensors")]
    return max(finished, key=lambda path: (path / "model.safetensors").stat().st_mtime, default=None)
