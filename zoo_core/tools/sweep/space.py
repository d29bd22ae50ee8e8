"""The search space of a sweep: choices or a range for each key. Command line and recipe files use the same syntax."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo_core.config.word import Word
from zoo_core.errors import BadSetting

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(log:)?({_NUMBER})\.\.({_NUMBER})")
_WHOLE = re.compile(r"[-+]?\d+")
_LIKE_A_RANGE = re.compile(r"log:.*|(?=.*\d)[-+.\deE]*\.\.[-+.\deE]*")
_RANGE_HINT = "Write 'low..high', or 'log:low..high', for example log:1e-4..1e-2."


@dataclass(frozen=True)
class Choices:
    """``1e-4,3e-4``: the choices as text, as the user wrote them, and as values parsed from YAML."""

    texts: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def text(self) -> str:
        return ",".join(self.texts)

    @property
    def ends(self) -> tuple[str, ...]:
        """The values that are checked before the first trial."""
        return self.texts


@dataclass(frozen=True)
class Range:
    """``1e-4..1e-2``: a number from ``low`` to ``high``, an int if both are; ``log:`` draws it on a log scale."""

    low: float
    high: float
    log: bool

    @property
    def is_int(self) -> bool:
        return isinstance(self.low, int)

    @property
    def text(self) -> str:
        return f"{'log:' if self.log else ''}{self.low!r}..{self.high!r}"

    @property
    def ends(self) -> tuple[str, ...]:
        return repr(self.low), repr(self.high)

    def rounded(self, value: float) -> float:
        """``value`` rounded to about a thousandth of the range, so that it is short enough to read and paste."""
        if self.is_int:
            return int(value)
        scale = min(self.high - self.low, abs(value) if self.log else math.inf)
        digits = 3 - math.floor(math.log10(scale))
        return min(max(round(value, digits), self.low), self.high)


Axis = Choices | Range
Space = Mapping[str, Axis]


def parse_axis(key: str, text: str) -> Axis | None:
    """The choices or the range that ``text`` describes for ``key``; None if it is a single value.

    Raises:
        BadSetting: if it looks like choices or a range, but is not valid.
    """
    pieces = _split(text)
    if len(pieces) > 1:
        return _choices(key, pieces)
    found = _RANGE.fullmatch(text)
    if found:
        return _range(key, text, *found.groups())
    if _LIKE_A_RANGE.fullmatch(text):
        raise BadSetting(f"{key}={text} is not a valid range.", _RANGE_HINT)
    return None


def grid_size(space: Space) -> int | None:
    """The number of combinations; None if there is a range, which has infinitely many values."""
    sizes = [len(axis.texts) for axis in space.values() if isinstance(axis, Choices)]
    return math.prod(sizes) if len(sizes) == len(space) else None


def grid_point(space: Space, number: int) -> dict[str, str]:
    """The combination ``number`` of the grid; the last key changes fastest."""
    point: dict[str, str] = {}
    for key, axis in reversed(list(space.items())):
        number, index = divmod(number, len(axis.ends))
        point[key] = axis.ends[index]
    return {key: point[key] for key in space}


def merge_axes(space: Space, changes: Mapping[str, Axis | None]) -> dict[str, Axis]:
    """``space`` updated with ``changes``; None, which stands for a single value, removes a key."""
    return {key: axis for key, axis in {**space, **changes}.items() if axis is not None}


def as_overrides(params: Mapping[str, str]) -> list[str]:
    """The settings as ``key=value`` overrides."""
    return [f"{key}={text}" for key, text in params.items()]


def value_of(text: str) -> Any:
    """The value of a choice."""
    return Word(text).value


def _choices(key: str, pieces: list[str]) -> Choices:
    values: list[Any] = []
    for piece in pieces:
        if not piece:
            raise BadSetting(f"{key}={','.join(pieces)} has an empty choice.", "Write null, or '' for an empty string.")
        if piece[0] in "[{" and (problem := Word(piece).problem):
            raise BadSetting(
                f"the choice {piece} of {key} is not YAML: {problem}.", "Quote it for the shell, for example '[1,2]'."
            )
        value = value_of(piece)
        if piece in pieces[: len(values)]:
            raise BadSetting(f"{key}={','.join(pieces)} has the duplicate choice {piece}.", "Remove one of them.")
        values.append(value)
    return Choices(tuple(pieces), tuple(values))


def _range(key: str, text: str, log: str | None, low: str, high: str) -> Range:
    kind = int if _WHOLE.fullmatch(low) and _WHOLE.fullmatch(high) else float
    found = Range(kind(low), kind(high), bool(log))
    if not found.low < found.high < math.inf:
        raise BadSetting(f"{key}={text}: the lower end should be less than the upper end.", _RANGE_HINT)
    if found.log and found.low <= 0:
        raise BadSetting(f"{key}={text} starts at {low}, but a log range should start above 0.", _RANGE_HINT)
    return found


def _split(text: str) -> list[str]:
    """``text`` split at the commas that are outside brackets and quotes."""
    pieces, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and not pieces[-1].strip(" [{,"):
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 0:
            pieces.append("")
            continue
        pieces[-1] += character
    return [piece.strip() for piece in pieces]
