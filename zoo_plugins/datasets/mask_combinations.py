"""Pixels of several classes, as in multi-label masks: which combinations of classes occur, and which are classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX
from zoo_plugins.datasets.mask_pairs import Pair

_MOST_CLASSES = 62  # that overlap: each has a bit of an integer
_MOST_COMBINATIONS = 254
_EDGES = 0.02  # of the pixels of each class; fewer in a combination are where the outlines of neighbors meet
_SHOWN = 5


@dataclass(frozen=True)
class Combinations:
    """The combinations of classes that occur, each as an integer with a bit for each class.

    Parameters
    ----------
    codes : list of int
        The combination of each class, in the order of the classes.
    names : tuple of str
        Their names, such as ``cell+nucleus``.
    pixels : list of dict of int to int
        The number of pixels of each class in each image.
    notes : list of str
        What was decided, a phrase each.
    overlap : tuple of (Path, Path, int), optional
        Two files that have pixels in common, and how many.
    """

    codes: list[int]
    names: tuple[str, ...]
    pixels: list[dict[int, int]]
    notes: list[str] = field(default_factory=list)
    overlap: tuple[Path, Path, int] | None = None

    def refusal(self) -> zoo.BadFile:
        """What is said of the overlap where a pixel has one class."""
        assert self.overlap is not None  # noqa: S101  # else nobody asks
        first, other, count = self.overlap
        return zoo.BadFile(
            f"{other} and {first} overlap in {count} pixels, but a pixel has one class here.",
            "Write `dataset.overlap=combine` for a class of each combination that occurs; or clear the pixels in one "
            "of the files.",
        )

    def classes(self, paths: Sequence[Path], numbers: Mapping[Path, int]) -> Tensor:
        """The classes (H, W) int64 of all mask files of an image."""
        codes = _codes(paths, numbers)
        ordered = torch.tensor(sorted(self.codes))
        places = torch.searchsorted(ordered, codes).clamp(max=len(ordered) - 1)
        table = torch.tensor([self.codes.index(code) for code in ordered.tolist()])
        return table[places].where(ordered[places] == codes, IGNORE_INDEX)


def find_combinations(
    pairs: Sequence[Pair], numbers: Mapping[Path, int], names: Sequence[str], pool: Executor
) -> Combinations:
    """The combinations of classes in all images, from the number of the class of each mask file.

    Raises:
        zoo.BadFile: if there are too many classes.
    """
    if len(names) - 1 > _MOST_CLASSES:
        raise zoo.BadFile(
            f"{pairs[0].masks[0]} is the mask of one of {len(names) - 1} classes, but at most {_MOST_CLASSES} may have "
            "files of their own.",
            "Save all classes in one file for each image.",
        )
    counted = list(pool.map(lambda pair: _count(pair, numbers), pairs))
    total = sum(counted, Counter())
    alone = [0, *(1 << number for number in range(len(names) - 1))]
    several = sorted((code for code in total if code.bit_count() > 1), key=lambda code: (code.bit_count(), code))
    kept = [code for code in several if _is_class(code, total)]
    # A class that is always within another one has no pixels alone, or those of an outline that is not exact.
    codes = [code for code in alone if not any(code & one for one in kept) or _is_class(code, total)] + kept
    if len(codes) > _MOST_COMBINATIONS:
        raise zoo.BadFile(
            f"{pairs[0].masks[0]} and the other masks have {len(codes)} combinations of classes, but at most "
            f"{_MOST_COMBINATIONS} are possible.",
            "Keep the masks of fewer classes.",
        )
    found = tuple(_name(code, names) for code in codes)
    notes = []
    if kept:
        notes.append(
            f"classes overlap, and each combination is a class: {_listed([_name(one, names) for one in kept])}"
        )
    if rare := sum(count for code, count in total.items() if code not in codes):
        notes.append(f"{rare} pixels of combinations with less than {_EDGES:.0%} of each of their classes are ignored")
    number_of = {code: number for number, code in enumerate(codes)}
    pixels = [{number_of[code]: count for code, count in one.items() if code in number_of} for one in counted]
    return Combinations(codes, found, pixels, notes, _first_overlap(pairs, counted, numbers) if several else None)


def _is_class(code: int, total: Mapping[int, int]) -> bool:
    """Whether a combination has enough of the pixels of one of its classes."""
    bits = [1 << bit for bit in range(code.bit_length()) if code >> bit & 1]
    of_classes = [sum(count for other, count in total.items() if other & bit) for bit in bits]
    return any(total[code] >= _EDGES * pixels for pixels in of_classes)


def _count(pair: Pair, numbers: Mapping[Path, int]) -> Counter[int]:
    codes, counts = _codes(pair.masks, numbers).unique(return_counts=True)
    return Counter(dict(zip(codes.tolist(), counts.tolist(), strict=True)))


def _codes(paths: Sequence[Path], numbers: Mapping[Path, int]) -> Tensor:
    """The combination (H, W) int64 of each pixel; class k has the bit k - 1, and class 0 none."""
    codes = torch.zeros((), dtype=torch.int64)
    for path in paths:
        drawn = (zoo.read_mask(path, colors=True) != 0).long()
        codes = codes | (drawn << (numbers[path] - 1) if numbers[path] else drawn * 0)
    return codes


def _first_overlap(
    pairs: Sequence[Pair], counted: Sequence[Counter[int]], numbers: Mapping[Path, int]
) -> tuple[Path, Path, int] | None:
    for pair, counts in zip(pairs, counted, strict=True):
        code = next((one for one in counts if one.bit_count() > 1), None)
        if code is None:
            continue
        first, second, *_ = [path for path in pair.masks if numbers[path] and code >> (numbers[path] - 1) & 1]
        both = (zoo.read_mask(first, colors=True) != 0) & (zoo.read_mask(second, colors=True) != 0)
        return first, second, int(both.sum())
    return None


def _name(code: int, names: Sequence[str]) -> str:
    return "+".join(names[bit + 1] for bit in range(code.bit_length()) if code >> bit & 1) or names[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
