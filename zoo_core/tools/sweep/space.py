"""What a sweep tries: for each key of a recipe some choices, or a range. One syntax for words and for recipe files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo_core.config.recipe_files import parse_value
from zoo_core.errors import BadSetting

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(log:)?({_NUMBER})\.\.({_NUMBER})")
_WHOLE = re.compile(r"[-+]?\d+")
_MEANT_AS_RANGE = re.compile(r"log:.*|(?=.*\d)[-+.\deE]*\.\.[-+.\deE]*")
_HOW = "Write 'low..high', or 'log:low..high', for example log:1e-4..1e-2."


@dataclass(frozen=True)
class Choices:
    """``1e-4,3e-4``: each as it was written, so that it can be written again, and as YAML reads it."""

    texts: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def text(self) -> str:
        return ",".join(self.texts)

    @property
    def ends(self) -> tuple[str, ...]:
        """The values that are looked at before anything is run."""
        return self.texts


@dataclass(frozen=True)
class Range:
    """``1e-4..1e-2``: any number from ``low`` to ``high``, of whole numbers a whole one; ``log:``: any magnitude."""

    low: float
    high: float
    log: bool

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int)

    @property
    def text(self) -> str:
        return f"{'log:' if self.log else ''}{self.low!r}..{self.high!r}"

    @property
    def ends(self) -> tuple[str, ...]:
        return repr(self.low), repr(self.high)

    def rounded(self, value: float) -> float:
        """``value`` with as many digits as tell a thousand apart in this range: people read and paste it."""
        if self.whole:
            return int(value)
        scale = min(self.high - self.low, abs(value) if self.log else math.inf)
        digits = 3 - math.floor(math.log10(scale))
        return min(max(round(value, digits), self.low), self.high)


Axis = Choices | Range
Space = Mapping[str, Axis]


def parse_axis(key: str, text: str) -> Axis | None:
    """What ``text`` offers for ``key``, or None where it is one value.

    Raises:
        BadSetting: if it is neither.
    """
    pieces = _split(text)
    if len(pieces) > 1:
        return _choices(key, pieces)
    found = _RANGE.fullmatch(text)
    if found:
        return _range(key, text, *found.groups())
    if _MEANT_AS_RANGE.fullmatch(text):
        raise BadSetting(f"{key}={text} is no range.", _HOW)
    return None


def grid_size(space: Space) -> int | None:
    """How many combinations there are; None with a range, which has no end of them."""
    sizes = [len(axis.texts) for axis in space.values() if isinstance(axis, Choices)]
    return math.prod(sizes) if len(sizes) == len(space) else None


def grid_cell(space: Space, number: int) -> dict[str, str]:
    """The combination ``number`` of a grid, counted as an odometer counts: the last key changes fastest."""
    cell: dict[str, str] = {}
    for key, axis in reversed(list(space.items())):
        number, index = divmod(number, len(axis.ends))
        cell[key] = axis.ends[index]
    return {key: cell[key] for key in space}


def laid_over(space: Space, over: Mapping[str, Axis | None]) -> dict[str, Axis]:
    """``space`` with other axes for some keys; a key that has one value is none of it."""
    return {key: axis for key, axis in {**space, **over}.items() if axis is not None}


def as_words(texts: Mapping[str, str]) -> list[str]:
    """What to type for these settings."""
    return [f"{key}={text}" for key, text in texts.items()]


def value_of(key: str, text: str) -> Any:
    return parse_value(f"{key}={text}", text)


def _choices(key: str, pieces: list[str]) -> Choices:
    values: list[Any] = []
    for piece in pieces:
        if not piece:
            raise BadSetting(f"{key}={','.join(pieces)} has an empty choice.", "Write null, or '' for an empty text.")
        value = value_of(key, piece)
        if any(value == other for other in values):
            raise BadSetting(f"{key}={','.join(pieces)} has the choice {piece} twice.", "Leave one of them out.")
        values.append(value)
    return Choices(tuple(pieces), tuple(values))


def _range(key: str, text: str, log: str | None, low: str, high: str) -> Range:
    kind = int if _WHOLE.fullmatch(low) and _WHOLE.fullmatch(high) else float
    found = Range(kind(low), kind(high), bool(log))
    if not found.low < found.high < math.inf:
        raise BadSetting(f"{key}={text} does not go from a lower number to a higher one.", _HOW)
    if found.log and found.low <= 0:
        raise BadSetting(f"{key}={text} begins at {low}, but a range of magnitudes lies above 0.", _HOW)
    return found


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets and no quotes."""
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
