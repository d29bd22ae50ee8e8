"""Masks in a file for each class: ``masks/a/nucleus.png`` and ``masks/a/membrane.png``, or ``masks/nucleus/a.png``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mask_names import normalized
from zoo_plugins.datasets.mask_pairs import Pair
from zoo_plugins.datasets.mask_readers import Coding

_BACKGROUND = "background"


class ClassFiles:
    """Images with a mask file for each class, in which every value but 0 belongs to the class.

    Pixels of no class are class 0, background. Classes that overlap are refused: a pixel has one class here.

    Parameters
    ----------
    pairs : sequence of Pair
        The pairs.
    class_of : mapping of Path to str
        The name of the class of each mask file.
    """

    def __init__(self, pairs: Sequence[Pair], class_of: Mapping[Path, str]) -> None:
        self.pairs = list(pairs)
        found = sorted({normalized(name) for name in class_of.values()}, key=lambda name: zoo.natural_key(f"{name}."))
        self.names = (_BACKGROUND, *(name for name in found if name.lower() != _BACKGROUND))
        numbers = {name: number for number, name in enumerate(self.names)}
        self._numbers = {path: numbers.get(normalized(name), 0) for path, name in class_of.items()}

    @cached_property
    def facts(self) -> Mapping[Path, zoo.MaskFacts]:
        """What is in each mask file; the pixels of no class are counted in the first one of each image.

        Raises:
            zoo.BadFile: if a file has more than two values, or two classes have the same pixel.
        """
        paths = [path for pair in self.pairs for path in pair.masks]
        checked = dict(zip(paths, zoo.check_masks(paths, colors=True), strict=True))
        for path, one in checked.items():
            if len({*one.values} - {0}) > 1:
                raise zoo.BadFile(
                    f"{path} contains {len(one.values)} values, but should be the mask of one class: 0 and another.",
                    "Save a mask in black and white for each class; or all classes in one file for each image.",
                )
        with ThreadPoolExecutor(4) as pool:
            empty = list(pool.map(lambda pair: self._pixels_of_no_class(pair, checked), self.pairs))
        found = {}
        for pair, count in zip(self.pairs, empty, strict=True):
            for place, path in enumerate(pair.masks):
                one, number = checked[path], self._numbers[path]
                pixels = {number: sum(n for value, n in zip(one.values, one.counts, strict=True) if value)}
                if place == 0 and number:
                    pixels = {0: count, **pixels}
                found[path] = replace(one, values=tuple(pixels), counts=tuple(pixels.values()), kind="gray", colors={})
        return found

    @property
    def coding(self) -> Coding:
        """How the masks are read, and the classes."""
        notes = [f"each class has mask files of its own: {', '.join(self.names[1:])}; other pixels are background"]
        missing = [pair for pair in self.pairs if len(pair.masks) < len(set(self._numbers.values()))]
        if missing:
            notes.append(f"{len(missing)} images have no mask file of some class, as {missing[0].image.name}")
        names = self.names
        return Coding(_Reader(self._numbers), len(names), names, tuple(range(len(names))), notes)

    def _pixels_of_no_class(self, pair: Pair, checked: Mapping[Path, zoo.MaskFacts]) -> int:
        """Refuse files that overlap; the number of pixels that are in none."""
        sizes = {(checked[path].height, checked[path].width) for path in pair.masks}
        if len(sizes) > 1:
            raise zoo.BadFile(
                f"{pair.masks[0]} and the other masks of {pair.image.name} have different sizes.",
                "Save all masks in the size of the image.",
            )
        first = torch.full(next(iter(sizes)), -1)
        for place, path in enumerate(pair.masks):
            drawn = zoo.read_mask(path, colors=True) != 0
            if (both := drawn & (first >= 0)).any():
                other = pair.masks[int(first[both][0])]
                raise zoo.BadFile(
                    f"{path} and {other} overlap in {int(both.sum())} pixels, but a pixel has one class here.",
                    "Clear them in one of the files; or train a model for each class, on a folder with its masks only.",
                )
            first[drawn] = place
        return int((first < 0).sum())


@dataclass(frozen=True)
class _Reader:
    """Reads a file as the class of its pixels, and 0 elsewhere."""

    numbers: Mapping[Path, int]

    def read(self, path: Path) -> Tensor:
        """The classes (H, W) int64 of a mask file."""
        return (zoo.read_mask(path, colors=True) != 0).long() * self.numbers[path]
