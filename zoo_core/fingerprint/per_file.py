"""Compute a value for each of many files: in threads, with a progress line, and cached until the file changes."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from zoo_core.config.paths import zoo_home
from zoo_core.errors import BadFile, ZooError
from zoo_core.files import file_of, stat_regular, write_atomically
from zoo_core.fingerprint.faults import Faults, collected
from zoo_core.fingerprint.progress import ProgressLine

_MIN_AGE_NS = 2 * 10**9
Compute = Callable[[Path, threading.Event], Any]


@dataclass(frozen=True)
class Identity:
    """What the system says of a file; a file whose content changes gets another one, even if its size stays.

    The time of change can't be set by a program, unlike that of modification.
    """

    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Identity:
        """The identity of a regular file; BadFile for anything else."""
        status = stat_regular(file_of(path))
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def is_older_than(self, now: int) -> bool:
        """Whether the file was last changed long enough before ``now`` (ns) for its times to tell a later change.

        A file system counts time in steps of up to two seconds; a change within the same step would not be noticed.
        """
        return now - max(self.modified, self.changed) > _MIN_AGE_NS


def map_files(compute: Compute, paths: Sequence[Path], *, cache: str, task: str) -> list[Any]:
    """``compute(path, stopped)`` of every file, in order; a JSON value each.

    ``cache`` names the computation and its version: results are kept in ``ZOO_HOME/cache`` under this name until the
    file changes. ``task`` begins the progress line. Long computations should return when ``stopped`` is set.

    Raises:
        BadFile: if a file is missing, can't be read, is not a regular file, or changes while it is read; also
            whatever ``compute`` raises. Of several errors, that of the first file is raised. Where faults are
            collected, all are noted instead, and a file that can't be read has the value of another one.
    """
    faults = collected()
    absolute = [os.path.abspath(path) for path in paths]
    store = _Store.open(cache, absolute)
    results: list[Any] = [None] * len(absolute)
    unknown = []
    failed: dict[int, BaseException] = {}
    for index, path in enumerate(absolute):
        try:
            identity = Identity.of(paths[index])
        except BadFile as error:
            if faults is None:
                raise
            failed[index] = error
            continue
        known = store.get(path, identity)
        if known is None:
            unknown.append(index)
        else:
            results[index] = known[0]
    if unknown:
        computed, errors = _in_threads(compute, paths, unknown, task, goes_on=faults is not None)
        failed |= errors
        for index, (value, kept) in computed.items():
            results[index] = value
            store.put(absolute[index], kept, value)
        store.save()
    if faults is not None:
        faults.files.update(absolute)
        _note(faults, failed, paths, results)
    return results


def _note(faults: Faults, failed: dict[int, BaseException], paths: Sequence[Path], results: list[Any]) -> None:
    """Note what has failed, and give these files the values of others, so that the others can be looked at."""
    for index in sorted(failed):
        if not isinstance(failed[index], ZooError):
            raise failed[index]
    readable = [index for index in range(len(paths)) if index not in failed]
    for index, error in sorted(failed.items()):
        faults.add_unreadable(paths[index], cast(ZooError, error))
        if not readable:
            raise error
        results[index] = results[min(readable, key=lambda other: abs(other - index))]


def _in_threads(
    compute: Compute, paths: Sequence[Path], indices: list[int], task: str, *, goes_on: bool
) -> tuple[dict[int, tuple[Any, Identity | None]], dict[int, BaseException]]:
    """The results by index, each with the identity to cache it under, if it may be cached; and the errors, the first of
    which is raised unless it ``goes_on``.

    The threads are daemons: an executor would wait for all files that were begun, however large, when a signal ends
    the process.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
    stopped = threading.Event()
    for index in indices:
        waiting.put(index)

    def work() -> None:
        while not stopped.is_set():
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((index, _compute_once(compute, paths[index], stopped), None))
            except BaseException as error:  # raised again in the calling thread
                done.put((index, None, error))

    for _ in range(min(len(indices), (os.cpu_count() or 1) + 2, 16)):
        threading.Thread(target=work, name="zoo-files", daemon=True).start()
    results: dict[int, tuple[Any, Identity | None]] = {}
    errors: dict[int, BaseException] = {}
    try:
        with ProgressLine(task, len(indices), "files") as progress:
            for count in range(1, len(indices) + 1):
                while True:
                    try:
                        index, value, error = done.get(timeout=1)
                        break
                    except queue.Empty:  # a large file; the line is due all the same
                        progress.update(count - 1)
                if error is None:
                    results[index] = value
                else:
                    errors[index] = error
                # Files are begun in order, so those before the first bad one are known to be good soon.
                if (
                    not goes_on
                    and errors
                    and all(index in results or index in errors for index in indices if index < min(errors))
                ):
                    raise errors[min(errors)]
                progress.update(count)
    finally:
        stopped.set()
    return results, errors


def _compute_once(compute: Compute, path: Path, stopped: threading.Event) -> tuple[Any, Identity | None]:
    begun = time.time_ns()
    before = Identity.of(path)
    try:
        value = compute(path, stopped)
    except BadFile:
        raise
    except OSError as error:
        raise BadFile(f"{path} can't be read: {error.strerror or error}.", "Make it a readable file.") from error
    if Identity.of(path) != before:
        raise BadFile(f"{path} changed while it was read.", "Start again when nothing writes to it.")
    return value, before if before.is_older_than(begun) else None


class _Store:
    """The cache file of one computation for the files below one folder.

    Its first line is the SHA-256 of the rest. A damaged file, or one that can't be read, counts as empty; if it can't
    be written, everything is computed again the next time.
    """

    def __init__(self, path: Path, entries: dict[str, Any]) -> None:
        self.path, self.entries = path, entries

    @classmethod
    def open(cls, cache: str, paths: Sequence[str]) -> _Store:
        common = os.path.commonpath(list(map(os.path.dirname, paths))) if paths else ""
        name = f"{cache}-{hashlib.sha256(os.fsencode(common)).hexdigest()[:32]}.json"
        path = zoo_home() / "cache" / "files" / name
        try:
            checksum, _, text = path.read_text(encoding="utf-8").partition("\n")
            entries = json.loads(text) if checksum == hashlib.sha256(text.encode()).hexdigest() else {}
        except (OSError, ValueError, RecursionError):
            entries = {}
        return cls(path, entries if isinstance(entries, dict) else {})

    def get(self, path: str, identity: Identity) -> tuple[Any] | None:
        """The value in a tuple, if it is known for the file as it is now."""
        entry = self.entries.get(_key(path))
        if not isinstance(entry, list) or entry[:-1] != _as_list(identity):
            return None
        return (entry[-1],)

    def put(self, path: str, identity: Identity | None, value: Any) -> None:
        if identity is None:
            self.entries.pop(_key(path), None)
        else:
            self.entries[_key(path)] = [*_as_list(identity), value]

    def save(self) -> None:
        kept = {key: entry for key, entry in self.entries.items() if os.path.exists(os.fsencode(_path(key)))}
        text = json.dumps(kept)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
        except OSError:
            return


def _key(path: str) -> str:
    return os.fsencode(path).decode("latin-1")  # names need not be valid UTF-8


def _path(key: str) -> str:
    return os.fsdecode(key.encode("latin-1"))


def _as_list(identity: Identity) -> list[int]:
    return [identity.size, identity.modified, identity.changed, identity.inode]
