"""Faults of data: each raised at once, or all of them collected, as ``zoo data check`` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from zoo_core.errors import BadSetting, UnknownName, ZooError, one_line


@dataclass(frozen=True)
class Fault:
    """What is wrong with some of the data."""

    message: str
    hint: str | None
    files: tuple[str, ...] = ()
    """The files it is about, as far as they are known; the message names at least the first one."""


@dataclass
class Faults:
    """The faults found so far, each once."""

    found: list[Fault] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    """The absolute paths of those that were looked at."""
    _unreadable: set[str] = field(default_factory=set)

    def add(self, error: ZooError, files: Iterable[str | Path] = ()) -> None:
        """Note a fault, unless it follows from a file that could not be read."""
        fault = Fault(error.message, error.hint, tuple(map(str, files)))
        if fault not in self.found and not any(file in error.message for file in self._unreadable):
            self.found.append(fault)

    def add_unreadable(self, path: Path, error: ZooError) -> None:
        """Note that a file can't be read. What else is said of it is then of no use."""
        self.add(error, [path])
        self._unreadable.add(one_line(str(path), 10_000))


_collected: ContextVar[Faults | None] = ContextVar("collected", default=None)


@contextmanager
def collecting_faults() -> Iterator[Faults]:
    """In this context, faults are noted, and looking for others goes on. The error that ends it is not raised.

    Raises:
        BadSetting, UnknownName: if nothing was noted before: it is a mistake on the command line, not one of the data.
    """
    faults = Faults()
    token = _collected.set(faults)
    try:
        yield faults
    except ZooError as error:
        if isinstance(error, (BadSetting, UnknownName)) and not faults.found:
            raise
        faults.add(error)
    finally:
        _collected.reset(token)


def collected() -> Faults | None:
    """Where faults are noted now, if they are."""
    return _collected.get()


def report_fault(error: ZooError, files: Iterable[str | Path] = ()) -> None:
    """Raise an error about some of the data, or note it, and let the dataset look for others.

    ``zoo data check`` lists all faults of the data at once. Call this instead of ``raise`` where a dataset can look at
    its other files after one that is not suitable. Everywhere else, as in a run, the error is raised.

    Parameters
    ----------
    error : ZooError
        The error. Its message names a file.
    files : iterable of str or os.PathLike, optional
        All files that it is about, if the message does not name them all.

    Raises
    ------
    ZooError
        The error, except within ``zoo data check``.

    See Also
    --------
    check_images : Reports every file that can't be read.

    Examples
    --------
    >>> for image, mask in pairs:  # doctest: +SKIP
    ...     if image.size != mask.size:
    ...         zoo.report_fault(zoo.BadFile(f"{image.path} and {mask.path} differ in size.", "Resize one of them."))
    """
    faults = _collected.get()
    if faults is None:
        raise error
    faults.add(error, files)
