"""What occurs in all masks of a data set, and what is refused or named, be it values or colors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_table import ClassTable

MAX_CLASSES = 255
_MANY_VALUES = 16  # of one file; with smoothed edges it has far more
_RARE = 0.01  # of the pixels of a file
_SHOWN = 8
HOW_TO_SAVE = "as PNG with one value for each class: thresholded, and resized by nearest neighbors only"
_OTHERWISE = {  # what to write if values or colors are many, and right
    "values": "write `dataset.num_classes=N` if they are classes, `dataset.instances=semantic` if they number objects",
    "colors": "name each with its class in a file `classes.csv`: `NAME,RED,GREEN,BLUE`",
}


@dataclass(frozen=True)
class FoundClasses:
    """The value or the color of each class, and of what is ignored.

    Parameters
    ----------
    values : tuple of int
        The value, or the color ``0xRRGGBB``, of class 0, 1, …
    ignored : tuple of int
        The values or colors that belong to no class.
    names : tuple of str
        The names of the classes, or none.
    notes : list of str
        What was decided, a phrase each.
    """

    values: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Occurring:
    """The number of pixels of each value or color in each mask."""

    paths: Sequence[Path]
    counts: Sequence[dict[int, int]]

    @cached_property
    def total(self) -> Counter[int]:
        total: Counter[int] = Counter()
        for one in self.counts:
            total.update(one)
        return total

    @property
    def values(self) -> list[int]:
        return sorted(self.total)

    def first_with(self, value: int) -> Path:
        return next(path for path, one in zip(self.paths, self.counts, strict=True) if value in one)


def refuse_smoothed(masks: Occurring, what: str) -> None:
    """Refuse masks whose edges were smoothed, or that were saved as a JPEG: many values of very few pixels."""
    smoothed = []
    for path, one in zip(masks.paths, masks.counts, strict=True):
        pixels = sum(one.values())
        rare = sum(count < _RARE * pixels for count in one.values())
        if len(one) > _MANY_VALUES and rare > 0.75 * len(one):
            smoothed.append((path, one))
    if 2 * len(smoothed) > len(masks.paths) or len(masks.total) > MAX_CLASSES:
        every = list(zip(masks.paths, masks.counts, strict=True))
        path, one = max(smoothed or every, key=lambda found: len(found[1]))
        raise zoo.BadFile(
            f"{path} contains {len(one)} {what}, too many for classes: edges that were smoothed, a JPEG or a photo.",
            f"Save the masks again {HOW_TO_SAVE}; or {_OTHERWISE[what]}.",
        )


def classes_of_table(table: ClassTable, values: Sequence[int]) -> FoundClasses:
    """The classes that a table names, with a value or color for each line.

    Raises:
        zoo.BadFile: if they are fewer than two, or too many.
    """
    kept = [(value, line) for value, line in zip(values, table.lines, strict=True) if not line.is_ignored]
    ignored = tuple(value for value, line in zip(values, table.lines, strict=True) if line.is_ignored)
    if not 2 <= len(kept) <= MAX_CLASSES:
        raise zoo.BadFile(
            f"{table.path} names {len(kept)} classes, but there should be 2 to {MAX_CLASSES}.",
            "Correct it, or write `dataset.classes=null` to use the values in the masks.",
        )
    names = [line.name for line in table.lines if line.is_ignored]
    notes = [f"{table.path.name} names {len(kept)} classes"]
    notes += [f"the pixels of '{name}' are ignored" for name in names]
    return FoundClasses(tuple(value for value, _ in kept), ignored, tuple(line.name for _, line in kept), notes)


def listed(values: Sequence[int]) -> str:
    """The first few values."""
    return ", ".join(map(str, values[:_SHOWN])) + (", …" if len(values) > _SHOWN else "")
