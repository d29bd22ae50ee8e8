"""Find folders in which each class has mask files of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_folders import Folder
from zoo_plugins.datasets.mask_names import IMAGE, MASK, stem
from zoo_plugins.datasets.mask_pairs import Pair, pair_folders


@dataclass(frozen=True)
class FoundClassFiles:
    """The pairs of each split, or of "" if none is given, and the class of each mask file."""

    by_split: dict[str, list[Pair]]
    class_of: dict[Path, str]


def find_class_files(folders: Sequence[Folder]) -> FoundClassFiles | None:
    """The images whose masks are in a folder for each image, or in one for each class; None for another layout.

    Raises:
        zoo.ZooError: if an image has no mask, or a mask no image.
    """
    by_split: dict[str, list[Pair]] = {}
    class_of: dict[Path, str] = {}
    for one in folders:
        if one.role != IMAGE or one.is_below:
            continue
        below = [
            mask
            for mask in folders
            if mask.role == MASK and mask.split == one.split and mask.is_below and mask.rest[:-1] == one.rest
        ]
        same = any(mask.role == MASK and mask.split == one.split and mask.rest == one.rest for mask in folders)
        found = None if same or not below else _by_image(one, below) or _by_class(one, below)
        if found is None:
            return None
        pairs, classes = found
        by_split.setdefault(one.split or "", []).extend(pairs)
        class_of |= classes
    return FoundClassFiles(by_split, class_of) if by_split else None


def _by_image(images: Folder, below: Sequence[Folder]) -> tuple[list[Pair], dict[Path, str]] | None:
    """``masks/a/nucleus.png``: a folder for each image, whose files are named after the classes."""
    folders = {mask.path.name.casefold(): mask for mask in below}
    stems = [stem(path).casefold() for path in images.images]
    if not set(stems) & set(folders):
        return None
    names = [stem(path) for mask in below for path in mask.masks]
    if all(name.isdigit() for name in names) or len(set(names)) > max(255, len(below)):
        return None
    pairs = []
    for path, name in zip(images.images, stems, strict=True):
        if name not in folders:
            raise zoo.ZooError(
                f"{path} has no mask: {below[0].path.with_name(stem(path))} is missing or empty.",
                "Give each image a folder with a mask for each class, or move it elsewhere.",
            )
        pairs.append(Pair(path, tuple(folders[name].masks)))
    _refuse_masks_without_image([path for name, one in folders.items() if name not in stems for path in one.masks])
    return pairs, {path: stem(path) for pair in pairs for path in pair.masks}


def _by_class(images: Folder, below: Sequence[Folder]) -> tuple[list[Pair], dict[Path, str]] | None:
    """``masks/nucleus/a.png``: a folder for each class, whose files are named after the images."""
    pairings = [pair_folders(images.images, mask.masks) for mask in below]
    if len(below) < 2 or not all(pairing.pairs for pairing in pairings):
        return None
    masks: dict[Path, list[Path]] = {path: [] for path in images.images}
    class_of: dict[Path, str] = {}
    for mask, pairing in zip(below, pairings, strict=True):
        _refuse_masks_without_image(pairing.masks)
        for pair in pairing.pairs:
            masks[pair.image] += pair.masks
            class_of |= dict.fromkeys(pair.masks, mask.path.name)
    if alone := [path for path, found in masks.items() if not found]:
        raise zoo.ZooError(
            f"{alone[0]} has no mask in {below[0].path} and {len(below) - 1} more folders.",
            "Give each image a mask of at least one class, or move it elsewhere.",
        )
    return [Pair(path, tuple(found)) for path, found in masks.items()], class_of


def _refuse_masks_without_image(masks: Sequence[Path]) -> None:
    if masks:
        raise zoo.ZooError(
            f"{masks[0]} has no image{f', and {len(masks) - 1} more have none' if len(masks) > 1 else ''}.",
            "Give each mask its image, or move it elsewhere.",
        )
