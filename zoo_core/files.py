"""Files that are written completely or not at all, and their checksums."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from zoo_core.errors import BadFile, one_line

_SUFFIX = ".part"


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
    try:
        yield temporary
        move_synced(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


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


def stat_regular(path: Path) -> os.stat_result:
    """The status of a regular file, or of the one that a link leads to.

    Anything else is refused without opening it: opening a pipe waits for a writer, and a device may never end.

    Raises:
        BadFile: if it does not exist, can't be reached, or is a folder, a pipe, a socket or a device.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if not path.is_symlink():
            raise BadFile(f"{path} can't be read: No such file or directory.", "Check the name.") from None
        raise BadFile(f"{path} is a link to {path.readlink()}, which does not exist.", "Delete or repair it.") from None
    except (OSError, ValueError) as error:  # ValueError: the name contains NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"{one_line(str(path))} can't be read: {reason}.", "Make it a readable file.") from error
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a special file")
        raise BadFile(f"{path} is {kind}, but should be a file.", "Remove it, or give another file.")
    return status


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
