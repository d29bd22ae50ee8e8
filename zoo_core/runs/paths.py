"""The folders of runs in the working directory: for a new run, of the last run, of a run by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from zoo_core.config.naming import unused_name
from zoo_core.errors import BadSetting
from zoo_core.runs.folder import RunFolder

RUNS = Path("runs")
_DEPTH = 3  # levels of subfolders that are searched
_FILES = {"config.yaml", "sessions.json", "environment.json", "checkpoints"}


def new_path(root: Path, recipe: str) -> Path:
    """``root/RECIPE/2026-11-24T02-15-33``, with a number appended if that exists."""
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    folder = root / recipe
    return folder / unused_name(stamp, lambda name: (folder / name).exists())


def last_run() -> Path | None:
    """The run in the working directory that was active last."""
    runs = [path for path in run_folders(RUNS) if _is_run(path)]
    return max(runs, key=_last_active, default=None)


def run_folders(root: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """The folders of runs in and below ``root``, at most ``depth`` levels: a recipe may be called ``timm/digits``."""
    try:
        inside = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return
    if _FILES & {entry.name for entry in inside}:
        yield root
    elif depth:
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                yield from run_folders(Path(entry.path), depth - 1)


def run_called(name: str, usage: str) -> Path:
    """The folder of a run that was given on the command line: its path, or ``last``. ``usage`` is for the message.

    Raises:
        BadSetting: if there is no such run.
    """
    found = last_run() if name == "last" else Path(name)
    if found is None:
        raise BadSetting(f"there is no run in ./{RUNS}.", f"Give the folder of a run: {usage}")
    if not _is_run(found):
        raise BadSetting(f"{found} is not the folder of a run: it has no config.yaml.", "`zoo top` lists the runs.")
    return found


def _is_run(path: Path) -> bool:
    """Whether the folder has the settings of a run, or checkpoints, which contain them as well."""
    folder = RunFolder(path)
    return folder.config.is_file() or folder.checkpoints.is_dir()


def _last_active(run: Path) -> float:
    """When a run last wrote metrics or a checkpoint."""
    paths = (run / "config.yaml", run / "metrics.jsonl", run / "checkpoints")
    return max(path.stat().st_mtime for path in paths if path.exists())


def newest_run(recipe: str) -> Path | None:
    """The run of ``recipe`` in the working directory that has the newest weights."""
    finished = [path.parent for path in (RUNS / recipe).glob("*/model.safetensors")]
    return max(finished, key=lambda path: (path / "model.safetensors").stat().st_mtime, default=None)
