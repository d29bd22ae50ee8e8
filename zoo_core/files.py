"""Files that are written completely or not at all, damaged files, and checksums."""

from __future__ import annotations

import atexit
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, NoReturn

from zoo_core.errors import BadFile, one_line

DAMAGED = ".damaged"  # in the name of a file or folder that was set aside
_SUFFIX = ".part"
_LONGEST_NAME = 200  # bytes of a name that temporary names contain; systems allow 255
_unfinished: dict[Path, int] = {}  # with the process that writes it


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace the file ``path`` by one with this content; text is encoded as UTF-8.

    A reader, and a process that is killed, finds the old content or the new one, never a part of it.

    Raises:
        OSError: if the file cannot be written; it has its old content then.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, ending: str = "") -> Iterator[Path]:
    """The path of a temporary file in the same folder, which replaces ``path`` at the end of the block.

    For writers that open the file themselves; see :func:`write_atomically`. Its name ends in ``ending``, for writers
    that choose the format by it. If the block raises, the temporary file is deleted and ``path`` is left alone.
    """
    temporary = path.with_name(f"{_prefix(path)}{os.getpid()}-{os.urandom(4).hex()}{_SUFFIX}{ending}")
    with removed_at_exit(temporary):
        try:
            yield temporary
            move_synced(temporary, path)
        except BaseException:
            _remove(temporary)
            raise


@contextmanager
def removed_at_exit(temporary: Path) -> Iterator[None]:
    """In this context, the file or folder is deleted if a signal ends the process."""
    _unfinished[temporary] = os.getpid()
    try:
        yield
    finally:
        _unfinished.pop(temporary, None)


def _prefix(path: Path) -> str:
    """How the names of temporary files for ``path`` begin; a hash, if its own name leaves no room for more."""
    name = os.fsencode(path.name)
    return f".{path.name}." if len(name) <= _LONGEST_NAME else f".{hashlib.sha256(name).hexdigest()}."


def _remove(temporary: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)


@atexit.register
def _remove_unfinished() -> None:
    """Delete what a signal that ends the process has interrupted."""
    for temporary, process in list(_unfinished.items()):
        if process == os.getpid():  # not in a process that was forked meanwhile
            _remove(temporary)


def is_temporary(path: Path) -> bool:
    """Whether ``path`` has the name of a temporary file of :func:`replacing`."""
    return path.name.startswith(".") and _SUFFIX in (path.suffix, Path(path.stem).suffix)


def remove_leftovers(path: Path) -> None:
    """Delete the temporary files of killed processes that were writing ``path``; no other process may write it now."""
    for temporary in path.parent.glob(f"{escape(_prefix(path))}*{_SUFFIX}*"):
        if is_temporary(temporary):
            temporary.unlink(missing_ok=True)


def move_synced(source: Path, target: Path) -> None:
    """Rename the file ``source`` to ``target``, which it replaces, once its content is on the disk."""
    sync(source)
    os.replace(source, target)
    sync(target.parent)


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder to ``NAME.damaged``, or ``NAME.damaged-2``, …; returns its new path.

    Raises:
        BadFile: if it can't be renamed.
    """
    kept = _unused(path)
    try:
        path.rename(kept)
        sync(path.parent)
    except OSError as error:
        raise BadFile(f"{path} is damaged and could not be renamed: {error.strerror}.") from error
    return kept


def copy_aside(path: Path) -> Path:
    """Copy a damaged file, which is about to be replaced, as :func:`set_aside` renames one; returns the new path.

    Raises:
        OSError: if it can't be copied.
    """
    kept = _unused(path)
    write_atomically(kept, path.read_bytes())
    return kept


def _unused(path: Path) -> Path:
    number, kept = 1, path.with_name(path.name + DAMAGED)
    while os.path.lexists(kept):
        number += 1
        kept = path.with_name(f"{path.name}{DAMAGED}-{number}")
    return kept


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk.

    Some systems cannot do that for a folder; then nothing is waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC) or not path.is_dir():
            raise


Status = tuple[int, int, int, int, int]  # what differs between two files, and between two states of a file


def status_of(status: os.stat_result) -> Status:
    """Device, inode, size, and the times of modification and of change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def held(path: Path, expected: Status | None = None) -> Iterator[tuple[Path, Status]]:
    """A path for the block that leads to one file whatever happens to ``path``, and the status of the file.

    Raises:
        BadFile: if the file is not the one with the status ``expected``, or is written to in the block.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = status_of(os.fstat(file.fileno()))
        same = Path(f"/proc/self/fd/{file.fileno()}")
        if expected not in (None, status):
            raise _changed(path)
        yield same if same.exists() else path, status
        now = [os.fstat(file.fileno()), *([] if same.exists() else [path.stat()])]
        if any(status_of(one) != status for one in now):
            raise _changed(path)


def _open_at_once(path: str, flags: int) -> int:
    """Open a file that may have become a pipe, which otherwise waits for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _changed(path: Path) -> BadFile:
    return BadFile(f"{path} was replaced or changed while it was read.", "Load it again when nothing writes to it.")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stat_regular(path: Path, hint: str | None = None) -> os.stat_result:
    """The status of a regular file, or of the one that a link leads to.

    Anything else is refused without opening it: opening a pipe waits for a writer, and a device may never end.

    Raises:
        BadFile: if it does not exist, can't be reached, or is a folder, a pipe, a socket or a device.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if not path.is_symlink():
            raise BadFile(f"{path} does not exist.", hint or "Check the name.") from None
        raise BadFile(f"{path} is a link to {path.readlink()}, which does not exist.", "Delete or repair it.") from None
    except (OSError, ValueError) as error:  # ValueError: the name contains NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"{one_line(str(path))} can't be read: {reason}.", hint or "Make it a readable file.") from error
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a special file")
        raise BadFile(f"{path} is {kind}, but should be a file.", hint or "Remove it, or give another file.")
    return status


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_json(path: Path) -> Any:
    """The content of a JSON file, as :func:`parse_json` reads it.

    Raises:
        FileNotFoundError: if it does not exist.
        BadFile: if it can't be read, is not a regular file, or is damaged.
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    stat_regular(path)
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} can't be read: {one_line(str(error))}.") from error


def parse_json(text: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises:
        ValueError: if it is not one, is nested too deeply, has a duplicate key, or a number that is not finite.
    """
    try:
        return json.loads(
            text.decode(), parse_constant=_reject_constant, parse_float=_finite, object_pairs_hook=_reject_duplicates
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("it holds an infinite number")
    return value


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"duplicate key {one_line(repr(key), 60)}")
        mapping[key] = value
    return mapping


_PAGE = re.compile(r"(?P<name>.+)#page=(?P<page>\d{1,9})")


def split_page(path: Path) -> tuple[Path, int | None]:
    """The file, and the page that a path names, as ``stack.tif#page=3``; None if it names the whole file."""
    found = _PAGE.fullmatch(path.name)
    if found is None or path.exists():  # a file may have such a name
        return path, None
    return path.with_name(found["name"]), int(found["page"])


_CLIP = re.compile(r"(?P<name>.+)#clip=(?P<clip>\d{1,9})")


def split_clip(path: Path) -> tuple[Path, int | None]:
    """The file, and the clip that a path names, as ``many.npy#clip=3``; None if it names the whole file."""
    found = _CLIP.fullmatch(path.name)
    if found is None or path.exists():
        return path, None
    return path.with_name(found["name"]), int(found["clip"])


def file_of(path: Path) -> Path:
    """The file of a path that may name a page or a clip of it."""
    return split_clip(split_page(path)[0])[0]
