"""Standard streams while a plugin is loaded: it writes to standard error, and can't close the real ones."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

if TYPE_CHECKING:
    import socket

_STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
_FIRST = 400  # above the descriptors that a program closes to run as a daemon, if the limit of the system is higher


class _Writer(io.RawIOBase):
    """Writes to standard error while a plugin is loaded; later, as a handler of ``logging`` does, to its own stream."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.target: TextIO | None = sys.stderr

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool((stream := self._stream()) and stream.isatty())

    def fileno(self) -> int:
        stream = self._stream()
        return super().fileno() if stream is None else stream.fileno()

    def write(self, data: object) -> int:
        text = bytes(data)  # type: ignore[call-overload]
        if stream := self._stream():
            stream.write(text.decode(errors="backslashreplace"))
            stream.flush()
        return len(text)

    def _stream(self) -> TextIO | None:
        found: TextIO | None = self.target or getattr(sys, self._name)
        return found


@contextmanager
def own_streams(undone: list[str]) -> Iterator[None]:
    """In this context, ``sys.stdout`` and ``sys.stderr`` are others that write to standard error.

    So does what bypasses them: C libraries and subprocesses. Afterwards everything is as before, whatever was closed or
    replaced; ``undone`` then contains what.
    """
    kept = {name: getattr(sys, name) for name in (*_STREAMS, "stdin", "__stdin__")}
    writers = {name: _Writer(name) for name in ("stdout", "stderr")}
    with _descriptors(undone):
        for name, writer in writers.items():
            # Without a buffer, of which a part could be written later, to another stream.
            stream = io.TextIOWrapper(
                cast(BinaryIO, writer), encoding="utf-8", errors="backslashreplace", write_through=True
            )
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        given = {name: getattr(sys, name) for name in kept}
        try:
            yield
        finally:
            for name, stream in given.items():
                if getattr(sys, name, None) is not stream and not name.startswith("__"):
                    undone.append(f"sys.{name}")
                setattr(sys, name, kept[name])
            for writer in writers.values():
                writer.target = None


@contextmanager
def _descriptors(undone: list[str]) -> Iterator[None]:
    kept = {number: copy for number in range(3) if (copy := copy_above(number)) is not None}
    try:
        if 1 in kept and 2 in kept:
            os.dup2(2, 1)
        yield
    finally:
        names = {0: "standard input", 1: "standard output", 2: "standard error"}
        for number, copy in kept.items():
            if not _same(number, kept.get(2, 2) if number == 1 else copy):
                undone.append(names[number])
            with suppress(OSError):  # the plugin has closed all descriptors
                os.dup2(copy, number)
                os.close(copy)


def moved_above(end: socket.socket) -> socket.socket:
    """The same socket, at a descriptor that a plugin does not close with all others."""
    number = copy_above(end.fileno())
    if number is None:
        return end
    end.close()
    return type(end)(fileno=number)


def copy_above(number: int) -> int | None:
    """A copy of a descriptor above those that a program usually closes; None if there can't be one."""
    try:
        import fcntl
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST if most > 2 * _FIRST else 3)
    except ImportError:  # a system without them
        with suppress(OSError):
            return os.dup(number)
    except OSError:  # it is closed
        pass
    return None


def _same(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False
