"""What can go wrong, said in two lines: what was given against what was expected, then what to type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class ZooError(Exception):
    """A mistake that zoo can name. ``cure`` says what to type next; the command line prints both, and no traceback."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"


class UnknownName(ZooError, LookupError):
    """No model, trainer, data set, recipe or weights have this name."""


class NameTaken(ZooError):
    """Two plugins offer the same name, or a run's folder is there already."""


class BadSetting(ZooError, ValueError):
    """A recipe or an override sets something that does not exist, or to a value that does not fit."""


class BrokenPlugin(ZooError, ImportError):
    """A plugin is installed, but what it promised cannot be had."""


class BadFile(ZooError, OSError):
    """A file or folder is missing, unreadable, or not what it claims to be."""


class RunFailed(ZooError, RuntimeError):
    """The training itself failed; what it had is on disk."""

    exit_code = 1


class ProcessLost(RunFailed):
    """Of the processes of a run another one ended, and this one could not go on."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was most likely meant to be."""
    import difflib  # half a millisecond that only a mistake needs

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    match = nearest(name, known)
    return f"Did you mean '{match}'?" if match else otherwise


def in_yaml(value: Any) -> str:
    """``value`` as a recipe would say it, in one line: ``null``, ``'text'``, ``[1, true]``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        pairs = (f"{key if isinstance(key, str) else in_yaml(key)}: {in_yaml(held)}" for key, held in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(in_yaml, value)) + "]"
    return repr(value)


def one_line(text: str, most: int = 200) -> str:
    """What a stranger wrote, as it may stand in a message: in one line that moves no terminal's cursor."""
    words = " ".join(text[: 4 * most].split())
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in words)
    return shown if len(shown) <= most else f"{shown[:most]}…"
