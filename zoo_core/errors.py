"""Exceptions of zoo: a message that says what is wrong, and a hint that says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class ZooError(Exception):
    """Base class of the errors that zoo and its plugins raise for a mistake of the user.

    The command line prints the message and the hint without a traceback and exits with ``exit_code``. Each subclass
    also derives from the built-in exception that fits it, so that ``except ValueError`` works as well.

    Parameters
    ----------
    message : str
        What was given, against what was expected.
    hint : str, optional
        What to type or to change next. It is printed on a line of its own.

    Attributes
    ----------
    message : str
        The message.
    hint : str or None
        The hint.
    exit_code : int
        Exit code of the command line: 1 for :class:`RunFailed` and for an error that ends a run after its first step, 2
        for every other error, after which nothing is written.

    Examples
    --------
    >>> raise zoo.ZooError("the mask has class 12, but the model has 10.", "Write `model.num_classes=13`.")
    Traceback (most recent call last):
        ...
    zoo_core.errors.ZooError: the mask has class 12, but the model has 10.
      Write `model.num_classes=13`.
    """

    exit_code: int = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = printable(str(message))
        self.hint = None if hint is None else printable(str(hint))

    def __str__(self) -> str:
        # Both are attributes that may have been changed.
        message = printable(str(self.message))
        return message if self.hint is None else f"{message}\n  {printable(str(self.hint))}"


class UnknownName(ZooError, LookupError):
    """No model, trainer, dataset, recipe, plugin or weights have the given name.

    The hint suggests the most similar name, if there is one. Also a ``LookupError``; the parameters are those of
    :class:`ZooError`.
    """

    missing: str = ""  # the name, where a plugin may bring it


class NameTaken(ZooError):
    """A name is ambiguous or in use: two plugins register it, or the folder of a new run exists.

    Write ``plugin/name`` for an ambiguous name, and choose another folder for the run. The parameters are those of
    :class:`ZooError`.
    """


class BadSetting(ZooError, ValueError):
    """A recipe or an override has an unknown setting, a value of the wrong type or out of range, or lacks one.

    The message starts with the file and the line of the value, where there is one. Also a ``ValueError``; the
    parameters are those of :class:`ZooError`.
    """


class BrokenPlugin(ZooError, ImportError):
    """A plugin is installed, but it could not be loaded, or a class that it registers is missing or unsuitable.

    ``zoo plugins show NAME`` shows the reason. Also an ``ImportError``; the parameters are those of :class:`ZooError`.
    """


class BadFile(ZooError, OSError):
    """A file or folder is missing, unreadable, not writable, or not in the expected format.

    Also an ``OSError``; the parameters are those of :class:`ZooError`.
    """


class RunFailed(ZooError, RuntimeError):
    """A run failed: its model, dataset or trainer raised an error, or a metric or a weight is not finite.

    The last good checkpoint is kept. ``__cause__`` is the original exception, if there was one. Also a
    ``RuntimeError``; the parameters are those of :class:`ZooError`. The exit code is 1.
    """

    exit_code = 1


class ProcessLost(RunFailed):
    """Another process of the run ended, and this one could not continue alone."""


class RunStopped(ZooError):
    """A signal stopped a run in the middle of a step, which is not saved; the last checkpoint is on disk.

    A run that a signal stops between two steps is saved, and raises no error. The exit code is that of the signal.
    """


def unknown_name(message: str, hint: str | None, missing: str) -> UnknownName:
    """The error for the name ``missing``, which may be another one than the user gave: that of an extended recipe."""
    error = UnknownName(message, hint)
    error.missing = missing
    return error


def describe_type(value: object) -> str:
    """Type of a value, with its shape if it has one: ``a tensor of shape (0, 3)``, ``an int``, ``None``."""
    if value is None:
        return "None"
    if getattr(value, "is_nested", False) is True:
        return "a nested tensor"
    name = {"Tensor": "tensor", "ndarray": "array"}.get(type(value).__name__, type(value).__name__)
    shape = getattr(value, "shape", None)
    described = f"{name} of shape {tuple(shape)}" if isinstance(shape, tuple) else name
    described += " on the meta device" if getattr(value, "is_meta", False) is True else ""
    return f"an {described}" if name[0].lower() in "aeiou" else f"a {described}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to ``name``, if one is similar enough, whatever the case of its letters.

    Of names with the same prefix, as in ``timm/resnet18``, the rest is compared.
    """
    import difflib  # half a millisecond that only a mistake needs

    listed = list(known)
    prefix = name[: name.rfind("/") + 1]
    rests = [one.removeprefix(prefix) for one in listed if one.startswith(prefix)]
    if not rests:
        prefix, rests = "", listed
    folded = {one.casefold(): one for one in reversed(rests)}
    matches = difflib.get_close_matches(name.removeprefix(prefix).casefold(), folded, n=1, cutoff=0.6)
    return f"{prefix}{folded[matches[0]]}" if matches else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A hint that names the known name that ``name`` resembles; ``otherwise`` if there is none."""
    match = nearest(name, known)
    return f"Did you mean '{match}'?" if match else otherwise


def in_yaml(value: Any) -> str:
    """``value`` in one line of YAML, as in a recipe: ``null``, ``'text'``, ``[1, true]``."""
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


_NO_WIDTH_JOINERS = "\u200c\u200d"  # letters of Persian and of Indian languages, and emoji, are written with them
_HARMLESS = frozenset("\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))) + _NO_WIDTH_JOINERS)


def printable(text: str) -> str:
    """``text`` in one line of a terminal: line breaks and other control characters are escaped.

    Names and values in a message may contain any character, also those that change the direction of the text.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _HARMLESS else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def raised(error: BaseException, most: int = 400) -> str:
    """The type and the text of an error, such as ``ValueError: no such color``, in one line without a period."""
    try:
        text = one_line(plain_text(str(error)), most).rstrip(".")
    except BaseException:  # whose own __str__ fails, in whatever way
        text = ""
    name = one_line(type(error).__name__)
    return f"{name}: {text}" if text else name


def plain_text(text: str) -> str:
    """``text`` without the methods of a subclass of ``str``."""
    return text if type(text) is str else str.__str__(text)


def one_line(text: str, most: int = 200) -> str:
    """Untrusted text for use in a message: one line of at most ``most`` characters, control characters escaped."""
    shown = printable(" ".join(text[: 4 * most].split()))
    return shown if len(shown) <= most else f"{shown[:most]}…"
