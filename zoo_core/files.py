"""Files that are written completely or not at all, and their checksums."""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

_SUFFIX = ".part"
_unfinished: set[Path] = set()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace the file ``path`` by one with this content; text is encoded as UTF-8.

    A reader, and a process that is killed, finds the old content or the new one, never a part of it.

    Raises:
        OSError: if the file cannot be written; it has its old content then.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of a temporary file in the same folder, which replaces ``path`` at the end of the block.

    For writers that open the file themselves; see :func:`write_atomically`. If the block raises, the temporary file is
    deleted and ``path`` is left alone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}{_SUFFIX}")
    _unfinished.add(temporary)
    try:
        yield temporary
        move_synced(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    finally:
        _unfinished.discard(temporary)


def _remove(temporary: Path) -> None:
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


@atexit.register
def _remove_unfinished() -> None:
    """Delete what a signal that ends the process has interrupted."""
    for temporary in list(_unfinished):
        if f".{os.getpid()}-" in temporary.name:  # not in a process that was forked meanwhile
            _remove(temporary)


def is_temporary(path: Path) -> bool:
    """Whether ``path`` has the name of a temporary file of :func:`replacing`."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


def remove_leftovers(path: Path) -> None:
    """Delete the temporary files of killed processes that were writing ``path``; no other process may write it now."""
    for temporary in path.parent.glob(f".{escape(path.name)}.*{_SUFFIX}"):
        temporary.unlink(missing_ok=True)


def move_synced(source: Path, target: Path) -> None:
    """Rename the file ``source`` to ``target``, which it replaces, once its content is on the disk."""
    sync(source)
    os.replace(source, target)
    sync(target.parent)


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


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
