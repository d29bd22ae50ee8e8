"""What a prediction of many files has done so far, so that a second call goes on where the first one ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from zoo_core.errors import BadFile, NameTaken
from zoo_core.files import file_of, write_atomically

_VERSION = 1


@dataclass
class Entry:
    """What is known of an input."""

    outputs: list[str] = field(default_factory=list)
    """Files that were begun for it, below the folder of the output."""
    identity: list[int] | None = None
    """What the file was like when its prediction was finished; None before that."""
    values: Mapping[str, Any] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)


class Journal:
    """A file with a line of JSON for each step. What a kill has cut off is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._file: TextIO | None = None

    @contextmanager
    def opened(self, about: Mapping[str, Any], *, overwrite: bool) -> Iterator[Journal]:
        """Read what there is, and add to it in this context, in which no other process may.

        ``about`` is what all predictions have in common. If it has changed, it is refused without ``overwrite``, with
        which all is predicted again.

        Raises:
            NameTaken: if the predictions are of something else, or another process writes them.
            BadFile: if the file can't be written.
        """
        lock = FileLock(self.path.with_name(f"{self.path.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise NameTaken(
                f"another process predicts into {self.path.parent}.", "Wait for it, or choose another name."
            ) from None
        except OSError as error:
            raise BadFile(
                f"{self.path.parent} could not be written: {error.strerror}.", "Choose another folder."
            ) from error
        try:
            self._read(about, overwrite)
            self._rewrite(about)
            with self.path.open("a", encoding="utf-8") as self._file:
                yield self
        finally:
            if not self.entries:
                self.path.unlink(missing_ok=True)
            with suppress(OSError):  # on Windows, an open file can't be deleted
                os.unlink(lock.lock_file)
            lock.release()

    def begin(self, name: str, outputs: list[str]) -> None:
        """Note that these files will be written; if they are there the next time, they are not a user's."""
        self.entries[name] = Entry(outputs)
        self._add({"begin": name, "outputs": outputs})

    def finish(self, name: str, identity: list[int], values: Mapping[str, Any], tables: list[str]) -> None:
        """Note that all is written."""
        entry = self.entries[name]
        entry.identity, entry.values, entry.tables = identity, values, tables
        self._add({"end": name, "identity": identity, "values": values, "tables": tables})

    @property
    def outputs(self) -> set[str]:
        """All files that were begun."""
        return {output for entry in self.entries.values() for output in entry.outputs}

    def _add(self, line: Mapping[str, Any]) -> None:
        assert self._file is not None  # noqa: S101  # in opened()
        self._file.write(f"{json.dumps(line)}\n")
        self._file.flush()

    def _read(self, about: Mapping[str, Any], overwrite: bool) -> None:
        lines = list(_lines(self.path))
        header, rest = (lines[0], lines[1:]) if lines else ({}, [])
        if header and header.get("about") != json.loads(json.dumps(about)) and not overwrite:
            changed = [key for key, value in about.items() if (header.get("about") or {}).get(key) != value]
            raise NameTaken(
                f"{self.path.parent} holds predictions with other {' and '.join(changed) or 'settings'}.",
                "Choose another name, or add --overwrite, which predicts all again.",
            )
        for line in rest:
            if "begin" in line:
                self.entries[line["begin"]] = Entry(line["outputs"])
            elif line.get("end") in self.entries and not overwrite:
                entry = self.entries[line["end"]]
                entry.identity, entry.values, entry.tables = line["identity"], line["values"], line["tables"]

    def _rewrite(self, about: Mapping[str, Any]) -> None:
        lines: list[Mapping[str, Any]] = [{"version": _VERSION, "about": about}]
        for name, entry in self.entries.items():
            lines.append({"begin": name, "outputs": entry.outputs})
            if entry.identity is not None:
                end = {"identity": entry.identity, "values": entry.values, "tables": entry.tables}
                lines.append({"end": name, **end})
        try:
            write_atomically(self.path, "".join(f"{json.dumps(line)}\n" for line in lines))
        except OSError as error:
            raise BadFile(f"{self.path} could not be written: {error.strerror}.", "Choose another folder.") from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines; none if it is no journal of this version."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} can't be read: {error}.", "Delete it, or choose another name.") from error
    for number, line in enumerate(text.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            return
        if not isinstance(value, dict) or (number == 0 and value.get("version") != _VERSION):
            return
        yield value


def identity_of(path: Path) -> list[int]:
    """What tells that an input has changed: size and time of a file, or of all files in a folder.

    Raises:
        OSError: if it can't be read.
    """
    if not path.is_dir():
        status = file_of(path).stat()
        return [1, status.st_size, status.st_mtime_ns]
    statuses = [entry.stat() for entry in path.iterdir()]
    return [len(statuses), sum(one.st_size for one in statuses), max((one.st_mtime_ns for one in statuses), default=0)]
