"""The folder of one run: its files and its lock, and how it is created and removed."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo_core.config.command_line import resume_command
from zoo_core.errors import BadFile, NameTaken
from zoo_core.files import is_temporary, read_json, remove_leftovers, write_atomically

_CHECKSUM = "sha256"  # key of environment.json


class RunFolder:
    """The files of one run. See docs/runs-on-disk.md."""

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
        self._environment: dict[str, Any] | None = None
        self._created: list[Path] = []
        self._is_new = False  # what is in it belongs to a run that begins

    def create(self) -> None:
        """Create the folder, or use an empty one or that of a run that was killed before it started.

        Raises:
            NameTaken: if it contains a run: a run never overwrites another.
            BadFile: if it cannot be created.
        """
        try:
            self._created = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            names = {file.name for file in self.path.iterdir() if not is_temporary(file)}
            names -= {self._lock.name, self.environment.name}
        except FileExistsError:
            names = {self.path.name}  # the path is that of a file
        except OSError as error:
            raise BadFile(
                f"the run folder {self.path} could not be created: {error.strerror}.", "Choose another --folder."
            ) from error
        if names:
            raise NameTaken(
                f"the run folder {self.path} already exists, and a run never overwrites another.",
                f"Choose another --folder, or resume the run: {resume_command(self.path)}",
            )
        self._is_new = True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """In this context, no other process can train in this folder. The kernel releases the lock of a killed process.

        Raises:
            NameTaken: if another process holds the lock.
            BadFile: if the folder can't be written to.
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
        """Whether a process is training in this folder."""
        from zoo_core.runs.lock import is_held

        return is_held(self._lock)

    def remove_if_empty(self) -> None:
        """Delete the files of a run that failed before its first step, and the folders that were created for it.

        It may be called while another thread creates them, or writes the files.
        """
        for file in (self.config, self.environment, self._lock) if self._is_new else ():
            file.unlink(missing_ok=True)
            remove_leftovers(file)
        for folder in self._created:
            if not folder.is_dir() or any(folder.iterdir()):
                return
            folder.rmdir()

    def discard(self) -> bool:
        """Delete all that a run which has done no step has written; False, and nothing, if it was begun elsewhere."""
        if self._is_new:
            for entry in list(self.path.iterdir()):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)
            self.remove_if_empty()
        return self._is_new

    def restore(self, config: str) -> None:
        """Write ``environment.json`` and ``config.yaml`` into the folder, which somebody has deleted or emptied."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_environment(self.read_environment())
        self.write_config(config)

    def write_config(self, text: str) -> None:
        """Write ``config.yaml``. It is written after ``environment.json``, since a folder with it can be resumed."""
        write_atomically(self.config, text)

    def write_environment(self, environment: dict[str, Any]) -> None:
        """Write ``environment.json``, with a checksum."""
        self._environment = environment
        checked = {**environment, _CHECKSUM: _checksum(environment)}
        write_atomically(self.environment, json.dumps(checked, indent=2) + "\n")

    @property
    def has_environment(self) -> bool:
        """Whether there is anything named ``environment.json``, damaged or not."""
        return os.path.lexists(self.environment)

    def read_environment(self) -> dict[str, Any]:
        """The content of ``environment.json``.

        It is read once: a file that is damaged later does not end a run.

        Raises:
            BadFile: if it is missing or damaged.
        """
        if self._environment is None:
            try:
                found = read_json(self.environment)
            except FileNotFoundError as error:
                raise BadFile(f"{self.environment} does not exist.") from error
            checksum = found.pop(_CHECKSUM, None) if isinstance(found, dict) else None
            if checksum is None or checksum != _checksum(found):
                raise BadFile(f"{self.environment} is damaged: its content does not have the SHA-256 that it states.")
            self._environment = found
        return copy.deepcopy(self._environment)


def _checksum(environment: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest()
