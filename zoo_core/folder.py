"""Where things lie on disk: zoo's home, the data root, and the folder of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs

from zoo_core.errors import BadFile, BadSetting, NameTaken

RUNS = Path("runs")


def zoo_home() -> Path:
    """``$ZOO_HOME``, or the user's data folder by the platform's convention."""
    return Path(os.environ.get("ZOO_HOME") or platformdirs.user_data_path("zoo"))


def data_root() -> Path:
    """Where data sets lie: ``$ZOO_DATA``, else ``$ZOO_HOME/data``, else the user's data folder."""
    return Path(os.environ.get("ZOO_DATA") or zoo_home() / "data")


def weights_folder() -> Path:
    """Where fetched weights are kept: ``$ZOO_HOME/weights``."""
    return zoo_home() / "weights"


class RunFolder:
    """The layout of one run. See docs/runs-on-disk.md."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.sessions = path / "sessions.json"
        self.previews = path / "previews"
        self.checkpoints = path / "checkpoints"
        self.weights = path / "model.safetensors"
        self._lock = path / ".lock"
        self._made: list[Path] = []

    def create(self) -> None:
        """Make the folder, or take one that holds nothing yet, as of a run that was killed before it began.

        Raises:
            NameTaken: if it is there already: a run never overwrites another.
            BadFile: if it cannot be made.
        """
        try:
            self._made = [place for place in (self.path, *self.path.parents) if not place.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            holds = {file.name for file in self.path.iterdir()} - {self._lock.name, self.environment.name}
        except FileExistsError:
            holds = {self.path.name}  # a file is in the way
        except OSError as error:
            raise BadFile(
                f"the run folder {self.path} could not be made: {error.strerror}.", "Choose another --folder."
            ) from error
        if holds:
            raise NameTaken(
                f"the run folder {self.path} is there already, and a run never overwrites another.",
                f"Choose another --folder, or go on with it: zoo run --resume {self.path}",
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, no other process trains in this folder. The lock is the kernel's: a killed process leaves none.

        Raises:
            NameTaken: if one does.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise NameTaken(
                f"another process is training in {self.path}, and only one can.",
                "Wait until it has ended, or stop it.",
            ) from None
        except OSError as error:
            raise BadFile(f"{self.path} can't be written to: {error.strerror}.", "Choose another --folder.") from error
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process trains in this folder now."""
        from zoo_core.holding import held

        return held(self._lock)

    def remove_if_empty(self) -> None:
        """Leave nothing of a run that never began, nor of the folders made for it."""
        for file in (self.config, self.environment, self._lock):
            file.unlink(missing_ok=True)
        for place in self._made:
            if not place.is_dir() or any(place.iterdir()):
                return
            place.rmdir()

    def write_config(self, text: str) -> None:
        """Behind ``environment.json``: a folder that has its ``config.yaml`` can be gone on with."""
        write_whole(self.config, text)

    def write_environment(self, environment: dict[str, Any]) -> None:
        write_whole(self.environment, json.dumps(environment, indent=2) + "\n")

    def read_environment(self) -> dict[str, Any]:
        """What ``write_environment`` wrote.

        Raises:
            BadFile: if it can't be read.
        """
        try:
            found: dict[str, Any] = json.loads(self.environment.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadFile(f"{self.environment} can't be read: {error}.") from error
        return found


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a process that is killed leaves the old one or the new one."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def new_path(root: Path, recipe: str) -> Path:
    """``root/RECIPE/2026-11-24T02-15-33``, with a number behind it if two begin in one second."""
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    path, number = root / recipe / stamp, 1
    while path.exists():
        number += 1
        path = root / recipe / f"{stamp}-{number}"
    return path


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
