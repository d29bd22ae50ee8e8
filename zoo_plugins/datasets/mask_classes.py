"""The classes of the pixels in mask files: which value is which class, and which values are not masks at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import zoo_core as zoo

IGNORE_INDEX = 255  # of the masks that datasets return
_MAX_VALUE = 65535
_MAX_SUGGESTED = 20  # values that a message lists


class MaskClasses:
    """Maps the values in mask files to classes: class k has the value ``values[k]``, or k if there are none.

    ``ignore_index`` becomes 255, unless it is one of ``values``, and so do the ``others`` that are ignored.

    Raises:
        zoo.BadSetting: if ``values`` are not one distinct value for each class.
    """

    def __init__(self, num_classes: int, values: Sequence[int], ignore_index: int, others: Sequence[int] = ()) -> None:
        distinct = {value for value in values if 0 <= value <= _MAX_VALUE}
        if values and (len(distinct) != len(values) or len(values) != num_classes):
            raise zoo.BadSetting(
                f"dataset.class_values is {list(values)}, but should be {num_classes} different values from 0 to "
                f"{_MAX_VALUE}, one for each class.",
                "The first is the value of class 0 in the mask files, the second that of class 1, and so on.",
            )
        self.in_color = False  # whether some files are in color, all of whose pixels are gray
        self.values = tuple(values) or tuple(range(num_classes))
        self.ignore_index = None if ignore_index in values else ignore_index
        self._table = torch.full((_MAX_VALUE + 1,), -1)
        self._table[list(self.values)] = torch.arange(num_classes)
        self._others = tuple(others)
        self._table[list(others)] = IGNORE_INDEX
        if self.ignore_index is not None:
            self._table[self.ignore_index] = IGNORE_INDEX

    def read(self, path: Path) -> Tensor:
        """The classes (H, W) int64 of a mask file.

        Raises:
            zoo.BadFile: if the file can't be read, or contains a value of no class.
        """
        stored = zoo.read_mask(path, colors=self.in_color)
        if self.in_color:  # grays saved as 0xVVVVVV
            stored = stored.where(stored <= _MAX_VALUE, stored & 255)
        mask = self._table[stored]
        if (mask < 0).any():
            self._refuse(path, stored[mask < 0].unique().tolist(), ())
        return mask

    def check(self, paths: Sequence[Path], facts: Sequence[zoo.MaskFacts]) -> list[str]:
        """Notes on all masks, from the values that occur in them.

        Raises:
            zoo.BadFile: if a value belongs to no class, or nothing remains but one class after the ignored value is
                taken out.
        """
        occurring = sorted({value for one in facts for value in one.values})
        known = {*self.values, self.ignore_index, *self._others}
        unknown = [[value for value in one.values if value not in known] for one in facts]
        if bad := [(path, values) for path, values in zip(paths, unknown, strict=True) if values]:
            # Values of a few files are mistakes; those of most are classes.
            files = Counter(value for values in unknown for value in values)
            of_most = 2 * len(bad) >= len(paths) and all(4 * count >= len(paths) for count in files.values())
            self._refuse(*bad[0], occurring if of_most else ())
        classes = [value for value in self.values if value != self.ignore_index]
        present = [self.values.index(value) for value in classes if value in occurring]
        ignored = self.ignore_index in occurring
        if ignored and len(present) < 2:
            only = f"class {present[0]} and ignored pixels" if present else "ignored pixels"
            raise zoo.BadFile(
                f"the masks contain only {only}: the value {self.ignore_index}, which {paths[0]} and the others have, "
                "is ignored.",
                self._suggest(occurring) or "Write `dataset.ignore_index=…` if another value is to be ignored.",
            )
        if not ignored:
            one = f"all masks contain class {present[0]} only" if len(present) == 1 else ""
            return [one] if one else []
        self._refuse_two_codings(paths, facts)
        notes = []
        absent = [str(self.values.index(value)) for value in classes if value not in occurring]
        if absent:  # perhaps the ignored value is meant to be one of them
            notes.append(
                f"no mask contains class {', '.join(absent[:5])}{', …' if len(absent) > 5 else ''}, and the value "
                f"{self.ignore_index} is ignored"
            )
        few = [
            path.name
            for path, one in zip(paths, facts, strict=True)
            if self.ignore_index in one.values and len(one.values) < 3
        ]
        if few:  # perhaps they were saved by another program, in which the ignored value is a class
            notes.append(f"{len(few)} of {len(paths)} masks contain ignored pixels and at most one class ({few[0]}, …)")
        return notes

    def _refuse_two_codings(self, paths: Sequence[Path], facts: Sequence[zoo.MaskFacts]) -> None:
        """Refuse masks of 0 and 255 beside masks of 0 and 1: no mask that has ignored pixels has two classes as well.

        A few masks may have ignored pixels and one class only.
        """
        ignoring = [(path, one) for path, one in zip(paths, facts, strict=True) if self.ignore_index in one.values]
        others = [(path, one) for path, one in zip(paths, facts, strict=True) if self.ignore_index not in one.values]
        several = [(path, one) for path, one in others if len(one.values) > 1]
        binary = [(path, one) for path, one in ignoring if len(one.values) == 2]
        if several and 10 * len(binary) >= len(paths) and all(len(one.values) < 3 for _, one in ignoring):
            (first, one), (second, other) = several[0], binary[0]
            raise zoo.BadFile(
                f"the masks have two codings: {first} contains {_and(one.values)}, and {second} contains "
                f"{_and(other.values)}, where {self.ignore_index} is ignored.",
                "Save all masks with the same values; for others than 0, 1, …, set dataset.class_values.",
            )

    def _refuse(self, path: Path, unknown: list[int], occurring: Sequence[int]) -> None:
        first, last = self.values[0], self.values[-1]
        consecutive = self.values == tuple(range(len(self.values)))
        allowed = f"{first} to {last}" if consecutive else ", ".join(map(str, self.values))
        ignored = "" if self.ignore_index is None else f", and {self.ignore_index} is ignored"
        raise zoo.BadFile(
            f"{path} contains {', '.join(map(str, unknown[:5]))}{', …' if len(unknown) > 5 else ''}, but class indices "
            f"are {allowed}{ignored}.",
            self._suggest(occurring) or "Write `dataset.num_classes=…` or `dataset.ignore_index=…`, or fix the mask.",
        )

    def _suggest(self, occurring: Sequence[int]) -> str | None:
        """What to write if the values that occur are those of the classes."""
        if not 1 < len(occurring) <= _MAX_SUGGESTED:
            return None
        without_ignored = [value for value in occurring if value != self.ignore_index]
        values = without_ignored if len(without_ignored) == len(self.values) else list(occurring)
        words = [f"dataset.num_classes={len(values)}"] * (len(values) != len(self.values))
        words += [f"dataset.class_values={str(values).replace(' ', '')}"] * (values != list(range(len(values))))
        return f"If they are the classes in this order, write `{' '.join(words)}`." if words else None


def _and(values: Sequence[int]) -> str:
    """The first few values, as in a sentence."""
    shown = list(map(str, values[:5]))
    if len(values) > 5:
        return f"{', '.join(shown)}, …"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
