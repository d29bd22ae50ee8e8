"""Masks in a file for each class: ``masks/a/nucleus.png`` and ``masks/a/membrane.png``, or ``masks/nucleus/a.png``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mask_combinations import Combinations, find_combinations
from zoo_plugins.datasets.mask_names import normalized
from zoo_plugins.datasets.mask_pairs import Pair
from zoo_plugins.datasets.mask_readers import Coding

_BACKGROUND = "background"


class ClassFiles:
    """Images with a mask for each class, in which every value but 0 belongs to the class.

    Pixels of no class are class 0, background. Where classes overlap, as in multi-label masks, each combination that
    occurs is a class, if ``overlap`` is "combine"; otherwise they are refused, since a pixel has one class here.

    Parameters
    ----------
    pairs : sequence of Pair
        The pairs.
    class_of : mapping of Path to str
        The name of the class of each mask file, or plane of one.
    overlap : {"refuse", "combine"}
        What becomes of pixels of several classes.
    """

    def __init__(
        self, pairs: Sequence[Pair], class_of: Mapping[Path, str], overlap: Literal["refuse", "combine"] = "refuse"
    ) -> None:
        self.pairs, self.class_of, self.overlap = list(pairs), class_of, overlap
        found = sorted({normalized(name) for name in class_of.values()}, key=lambda name: zoo.natural_key(f"{name}."))
        self.names = (_BACKGROUND, *(name for name in found if name.lower() != _BACKGROUND))
        numbers = {name: number for number, name in enumerate(self.names)}
        self._numbers = {path: numbers.get(normalized(name), 0) for path, name in class_of.items()}

    def combined(self) -> ClassFiles:
        """The same masks, with a class for each combination of classes that occurs."""
        return ClassFiles(self.pairs, self.class_of, "combine")

    @cached_property
    def has_overlaps(self) -> bool:
        """Whether some pixels belong to several classes."""
        return self._combinations.overlap is not None

    @cached_property
    def facts(self) -> Mapping[Path, zoo.MaskFacts]:
        """What is in each mask file; the pixels of each class are counted in the first one of each image.

        Raises:
            zoo.BadFile: if a file has more than two values, or two classes have the same pixel and are not combined.
        """
        found = self._combinations
        if self.overlap == "refuse" and found.overlap is not None:
            raise found.refusal()
        facts = {}
        for pair, pixels in zip(self.pairs, found.pixels, strict=True):
            for place, path in enumerate(pair.masks):
                counts = pixels if place == 0 else {}
                facts[path] = replace(
                    self._checked[path], values=tuple(counts), counts=tuple(counts.values()), kind="gray", colors={}
                )
        return facts

    @property
    def coding(self) -> Coding:
        """How the masks are read, and the classes."""
        _ = self.facts  # refuses what can't be read so
        combinations = self._combinations
        names = combinations.names
        notes = [f"each class has mask files of its own: {', '.join(self.names[1:])}; other pixels are background"]
        missing = [pair for pair in self.pairs if len(pair.masks) < len(set(self._numbers.values()))]
        if missing:
            notes.append(f"{len(missing)} images have no mask file of some class, as {missing[0].image.name}")
        notes += combinations.notes
        return Coding(_Reader(self._numbers, combinations), len(names), names, tuple(range(len(names))), notes)

    @cached_property
    def _checked(self) -> Mapping[Path, zoo.MaskFacts]:
        """What is in each file as it is.

        Raises:
            zoo.BadFile: if a file has more than two values, or another size than others of its image.
        """
        paths = [path for pair in self.pairs for path in pair.masks]
        checked = dict(zip(paths, zoo.check_masks(paths, colors=True), strict=True))
        for path, one in checked.items():
            if len({*one.values} - {0}) > 1:
                raise zoo.BadFile(
                    f"{path} contains {len(one.values)} values, but should be the mask of one class: 0 and another.",
                    "Save a mask in black and white for each class; or all classes in one file for each image.",
                )
        for pair in self.pairs:
            if len({(checked[path].height, checked[path].width) for path in pair.masks}) > 1:
                raise zoo.BadFile(
                    f"{pair.masks[0]} and the other masks of {pair.image.name} have different sizes.",
                    "Save all masks in the size of the image.",
                )
        return checked

    @cached_property
    def _combinations(self) -> Combinations:
        _ = self._checked
        with ThreadPoolExecutor(4) as pool:
            return find_combinations(self.pairs, self._numbers, self.names, pool)


@dataclass(frozen=True)
class _Reader:
    """Reads all mask files of an image at once."""

    numbers: Mapping[Path, int]
    combinations: Combinations

    def read(self, path: Path) -> Tensor:
        """The classes (H, W) int64 of a mask file."""
        return (zoo.read_mask(path, colors=True) != 0).long() * self.numbers[path]

    def read_all(self, paths: Sequence[Path]) -> Tensor:
        """The classes (H, W) int64 of all mask files of an image."""
        return self.combinations.classes(paths, self.numbers)
