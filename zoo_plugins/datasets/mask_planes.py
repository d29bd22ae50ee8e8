"""Masks of several planes, one for each class: arrays (K, H, W) or (H, W, K), and TIFF files of K pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import zoo_core as zoo
from zoo_plugins.datasets.class_files import ClassFiles
from zoo_plugins.datasets.mask_pairs import Pair
from zoo_plugins.datasets.mask_stacks import is_stack, page
from zoo_plugins.datasets.mask_table import ClassTable, find_table

_MOST_PLANES = 62


def find_planes(by_split: Mapping[str, Sequence[Pair]], root: Path) -> tuple[dict[str, list[Pair]], ClassFiles] | None:
    """The pairs with a mask for each plane, and the classes, if every mask file has planes; None otherwise.

    The classes have the names of a file such as ``classes.csv`` in ``root``, or are numbered from 1.

    Raises:
        zoo.ZooError: if the numbers of planes differ, or the file does not name as many classes.
    """
    pairs = [pair for part in by_split.values() for pair in part]
    if not pairs or any(len(pair.masks) != 1 for pair in pairs):
        return None
    counts: dict[Path, int] = {}
    for pair in pairs:
        (mask,) = pair.masks
        count = _planes(mask)
        if count == 1:
            return None
        if count:
            counts[mask] = count
        if pair.image.suffix.lower() == ".npy" and _shape(pair.image)[:1] == _shape(mask)[:1] == (count,):
            raise zoo.BadFile(
                f"{pair.image} and {mask} hold arrays of {count} images and masks.",
                "Save each image and each mask in a file of its own: images/0.npy and masks/0.npy.",
            )
    if not counts:
        return None
    (first, planes), *others = counts.items()
    for path, count in others:
        if count != planes:
            raise zoo.BadFile(
                f"{path} has {count} planes, but {first.name} has {planes}.",
                "Give each mask a plane for each class, in the same order; a class that does not occur has zeros.",
            )
    names = _names(planes, find_table(root, ""), first)
    found = {
        split: [Pair(pair.image, tuple(page(pair.masks[0], number) for number in range(planes))) for pair in part]
        for split, part in by_split.items()
    }
    every = [pair for part in found.values() for pair in part]
    class_of = {path: names[number] for pair in every for number, path in enumerate(pair.masks)}
    return found, ClassFiles(every, class_of)


def _planes(mask: Path) -> int:
    """The number of planes of a mask file; 1 for a plain one, and 0 for one that the check of all files refuses."""
    if mask.suffix.lower() != ".npy":
        try:
            return zoo.clip_shape(mask)[0] if is_stack(mask) else 1
        except zoo.BadFile:
            return 0
    shape = _shape(mask)
    if not shape:
        return 0
    count = min(shape[0], shape[2]) if len(shape) == 3 else 1
    return count if count <= _MOST_PLANES else 1


def _shape(path: Path) -> tuple[int, ...]:
    """The shape of an array; () if it can't be read, of which the check of all files says more."""
    try:
        return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape)
    except (OSError, ValueError, EOFError, SyntaxError):
        return ()


def _names(planes: int, table: ClassTable | None, first: Path) -> list[str]:
    if table is None:
        return [str(number) for number in range(1, planes + 1)]
    names = [line.name for line in table.lines if not line.is_ignored]
    if len(names) == planes + 1:  # with the background
        names = names[1:]
    if len(names) != planes:
        raise zoo.BadFile(
            f"{table.path} names {len(names)} classes, but {first} has {planes} planes.",
            "Name the class of each plane, in their order.",
        )
    return names
