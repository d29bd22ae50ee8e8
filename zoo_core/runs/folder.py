"""The folder of one run: its files, its lock, and how it is created and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile, NameTaken
from zoo_core.files import is_temporary, remove_leftovers, write_atomically


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
            holds = {file.name for file in self.path.iterdir() if not is_temporary(file)}
            holds -= {self._lock.name, self.environment.name}
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
            for file in (self.config, self.environment, self.metrics, self.sessions, self.weights):
                remove_leftovers(file)
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process trains in this folder now."""
        from zoo_core.runs.lock import held

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
        write_atomically(self.config, text)

    def write_environment(self, environment: dict[str, Any]) -> None:
        write_atomically(self.environment, json.dumps(environment, indent=2) + "\n")

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
