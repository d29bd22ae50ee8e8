"""Draw the masks of images with COCO annotations: the category of each pixel."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.coco import CocoFile, CocoImage
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX
from zoo_plugins.datasets.mask_pairs import Pair
from zoo_plugins.datasets.mask_readers import Coding
from zoo_plugins.datasets.mask_table import IGNORED_NAMES

_IMAGE = "#image="
_BACKGROUND = "background"
_COVERED = 0.99  # of all pixels; the others are then gaps between outlines
_MAX_CLASSES = 254
_SHOWN = 8


class CocoMasks:
    """The masks of all images in some COCO files.

    Larger objects are drawn first and smaller ones over them, crowds before all. Pixels without an object are class 0,
    background; if less than 1 % of all pixels are without one, they are ignored, and the classes are the categories.

    Raises:
        zoo.ZooError: if the files have different categories, or too many.
    """

    def __init__(self, files: Sequence[CocoFile]) -> None:
        self.files = list(files)
        self._categories, self._notes = _categories(files)
        self._images = {
            path.with_name(f"{path.name}{_IMAGE}{number}"): (one, path)
            for path, images in ((file.path, file.images) for file in files)
            for number, one in enumerate(images)
        }

    @cached_property
    def by_split(self) -> dict[str, list[Pair]]:
        """The pairs of image and mask; the mask is named ``FILE.json#image=NUMBER``."""
        found: dict[str, list[Pair]] = {file.split: [] for file in self.files}
        split_of = {file.path: file.split for file in self.files}
        for mask, (image, path) in self._images.items():
            found[split_of[path]].append(Pair(image.path, (mask,)))
        return {split: pairs for split, pairs in found.items() if pairs}

    @cached_property
    def facts(self) -> Mapping[Path, zoo.MaskFacts]:
        """What is in each mask."""
        found = {}
        classes = self._classes
        for mask, drawn in self._drawn.items():
            counts: Counter[int] = Counter()
            for number, count in drawn.items():
                counts[classes.empty if number is None else classes.of_category[number]] += count
            image = self._images[mask][0]
            values = tuple(sorted(counts))
            of_values = tuple(counts[value] for value in values)
            found[mask] = zoo.MaskFacts(image.height, image.width, values, "gray", {}, counts=of_values)
        return found

    @cached_property
    def coding(self) -> Coding:
        """How masks are read, and the classes."""
        classes = self._classes
        names = classes.names
        notes = [*self._notes, f"{len(names)} classes from {self.files[0].path.name}: {', '.join(names[:_SHOWN])}"]
        notes[-1] += ", …" * (len(names) > _SHOWN)
        if classes.empty == 0:
            notes[-1] += "; pixels without an object are background"
            empty = sum(not image.objects for image, _ in self._images.values())
            notes += [f"{empty} images without objects are background only"] * (empty > 0)
        else:
            notes.append("less than 1 % of the pixels are in no object, and are ignored")
        return Coding(_Reader(self._images, classes), len(names), names, tuple(range(len(names))), notes)

    @cached_property
    def _drawn(self) -> dict[Path, Counter[int | None]]:
        """The number of pixels of each category in each mask; of None: of no object."""
        numbers = dict(enumerate(self._categories))
        index_of = {number: index for index, number in numbers.items()}

        def count(mask: Path) -> Counter[int | None]:
            counts = np.bincount(draw(*self._images[mask], index_of, len(numbers)).reshape(-1))
            return Counter({numbers.get(index): int(counts[index]) for index in counts.nonzero()[0].tolist()})

        with ThreadPoolExecutor(4) as pool:
            return dict(zip(self._images, pool.map(count, self._images), strict=True))

    @cached_property
    def _classes(self) -> _Classes:
        total: Counter[int | None] = Counter()
        for one in self._drawn.values():
            total.update(one)
        names = self._categories
        is_named = any(name.lower() == _BACKGROUND for name in names.values())
        has_background = is_named or total[None] >= (1 - _COVERED) * total.total()
        classes = [name for name in names.values() if name.lower() not in (*IGNORED_NAMES, _BACKGROUND)]
        classes = [_BACKGROUND, *classes] if has_background else classes
        if len(classes) < 2:
            raise zoo.BadFile(f"{self.files[0].path} has one class only.", "At least two classes are needed.")
        index = {name: number for number, name in enumerate(classes)}
        of_category = {number: index.get(name, IGNORE_INDEX) for number, name in names.items()}
        of_category |= {number: 0 for number, name in names.items() if name.lower() == _BACKGROUND}
        return _Classes(tuple(classes), of_category, 0 if has_background else IGNORE_INDEX)


@dataclass(frozen=True)
class _Classes:
    """The names of the classes, the class of each category, and that of pixels without an object."""

    names: tuple[str, ...]
    of_category: dict[int, int]
    empty: int


@dataclass(frozen=True)
class _Reader:
    """Draws the mask of an image."""

    images: Mapping[Path, tuple[CocoImage, Path]]
    classes: _Classes

    def read(self, path: Path) -> Tensor:
        """The classes (H, W) int64 of the mask of an image; 255 is ignored."""
        image, file = self.images[path]
        return torch.from_numpy(draw(image, file, self.classes.of_category, self.classes.empty))


def draw(image: CocoImage, file: Path, class_of: Mapping[int, Any], empty: int) -> NDArray[np.int64]:
    """The class of each pixel of an image (H, W).

    Raises:
        zoo.BadFile: if an annotation has no outline, or a damaged one.
    """
    mask = np.full((image.height, image.width), empty, dtype=np.int64)
    objects = [(one, _decoded(one, image, file)) for one in image.objects]
    objects.sort(key=lambda pair: (not pair[0].get("iscrowd"), -int(pair[1].sum())))
    for one, pixels in objects:
        mask[pixels] = class_of[one["category_id"]]
    return mask


def _decoded(annotation: Mapping[str, Any], image: CocoImage, file: Path) -> NDArray[np.bool_]:
    """The pixels (H, W) of an object."""
    outline, size = annotation.get("segmentation"), (image.height, image.width)
    where = f"{file}: the annotation {annotation.get('id', '')} of {image.path.name}"
    if not outline:
        raise zoo.BadFile(
            f"{where} has a box, but no outline.", "Draw outlines: boxes do not say which pixels are of a class."
        )
    if isinstance(outline, dict):
        return _of_run_lengths(outline, size, where)
    if not isinstance(outline, list) or not all(_is_polygon(one, size) for one in outline):
        raise zoo.BadFile(
            f"{where} has a damaged outline.", "A polygon has at least 3 points X, Y, within or near the image."
        )
    coco_mask = _coco_mask(file)
    encoded = coco_mask.merge(coco_mask.frPyObjects(outline, *size))
    return _pixels(_lengths(encoded["counts"].decode()) or [], size)


def _is_polygon(points: Any, size: tuple[int, int]) -> bool:
    if not isinstance(points, list) or len(points) < 6 or len(points) % 2:
        return False
    most = 2 * max(size) + 1000
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= most
        for value in points
    )


def _of_run_lengths(outline: Mapping[str, Any], size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """The pixels of a run-length encoding, compressed or not; checked first, since the library trusts it."""
    counts = outline.get("counts")
    lengths: Any = _lengths(counts) if isinstance(counts, str) else counts
    is_valid = isinstance(lengths, list) and all(isinstance(one, int) and one >= 0 for one in lengths)
    if outline.get("size") != list(size) or not is_valid or sum(lengths) != size[0] * size[1]:
        raise zoo.BadFile(
            f"{where} has damaged run lengths, or those of another size than {size[0]} x {size[1]}.", "Export it again."
        )
    return _pixels(lengths, size)


def _pixels(lengths: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (H, W) of run lengths, column by column, of which every other one is of the object."""
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size, order="F")


def _lengths(text: str) -> list[int] | None:
    """The run lengths in a compressed text: 5 bits a character, differences from the second last one."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
            value = shift = 0
    return lengths if not shift else None


def _coco_mask(file: Path) -> Any:
    try:
        from pycocotools import mask
    except ModuleNotFoundError as error:
        raise zoo.ZooError(
            f"the annotations in {file} need the package pycocotools, which is not installed.",
            "pip install 'zoo-core[coco]'",
        ) from error
    return mask


def _categories(files: Sequence[CocoFile]) -> tuple[dict[int, str], list[str]]:
    """The names of the categories by their numbers, and a note on one that is left out."""
    first = files[0]
    names = {number: one["name"] for number, one in first.categories.items()}
    for other in files[1:]:
        if {number: one["name"] for number, one in other.categories.items()} != names:
            raise zoo.BadFile(
                f"{first.path} and {other.path} have different categories.", "Export all splits with the same ones."
            )
    used = {one["category_id"] for file in files for image in file.images for one in image.objects}
    if not used:
        raise zoo.BadFile(f"{first.path} has no annotations.", "Annotate objects, and export it again.")
    groups = {str(one.get("supercategory")) for number, one in first.categories.items() if number}
    notes = []
    if 0 in names and 0 not in used and groups == {names[0]}:  # as Roboflow exports it
        notes = [f"the category {names.pop(0)!r}, which groups the others, is left out"]
    if len(names) > _MAX_CLASSES:
        raise zoo.BadFile(f"{first.path} has {len(names)} categories, but at most 254 are possible.", "Merge some.")
    return names, notes
