"""Folders of images whose names say that they are not classes: masks of one another, pairs, or splits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoo_plugins.datasets.class_folders import SPLITS, Tree

_MASKS = ("gt", "groundtruth", "mask", "masks", "label", "labels", "seg", "annotation", "annotations")
_PAIRS = (
    *({"lr", "hr"}, {"low", "high"}, {"noisy", "clean"}, {"blur", "sharp"}, {"blurry", "sharp"}, {"input", "output"}),
    *({"source", "target"}, {"before", "after"}, {"rgb", "depth"}, {"rgb", "ir"}, {"x", "y"}),
)


def doubt(tree: Tree) -> str:
    """Why the folders with images in ``tree`` are perhaps not classes, and what to do then; "" if nothing says so."""
    folders = tree.with_images()
    names = list(folders)
    return _of_masks(folders) or _of_splits(names) or _of_pairs(folders)


def _of_masks(folders: dict[str, Tree]) -> str:
    """``GT_01`` beside ``Slide_01`` with the same files, or ``01_GT`` beside ``01``."""
    marked = {name: _without_word(name) for name in folders if _without_word(name) is not None}
    for name, rest in marked.items():
        stems = _stems(folders[name])
        partners = [other for other in folders if other not in marked]
        if any(other.casefold() == rest or _stems(folders[other]) == stems for other in partners):
            return (
                f"the folder {name} has the name of masks; move the images into a folder `images` and masks of the "
                "same names into `masks`, if it contains masks"
            )
    return ""


def _without_word(name: str) -> str | None:
    """A name without a word that stands for masks; None if it has none."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.casefold()) if word]
    rest = [word for word in words if word not in _MASKS]
    return None if len(rest) == len(words) else "_".join(rest)


def _stems(tree: Tree) -> set[str]:
    return {path.stem for path in tree.all_images()}


def _of_splits(names: Sequence[str]) -> str:
    """``trainA``, ``trainB`` and ``testA``, as for the translation of images."""
    found: dict[str, dict[str, str]] = {}  # the folder of each split, by the rest of the name
    for name in names:
        for word, split in SPLITS.items():
            if parts := re.fullmatch(rf"(?i:{word})(?P<rest>[-_. A-Z0-9].*)", name):  # not "trainer"
                found.setdefault(parts["rest"].strip("-_. ").casefold(), {}).setdefault(split, name)
    for by_split in found.values():
        if len(by_split) > 1:
            first, second, *_ = by_split.values()
            return (
                f"{first} and {second} have the names of splits; put `train/A`, `train/B` and `test/A`, `test/B` if A "
                "and B are classes"
            )
    return ""


def _of_pairs(folders: dict[str, Tree]) -> str:
    """Two folders of the same files, whose names say that one image is made from the other."""
    if {name.casefold() for name in folders} not in _PAIRS:
        return ""
    first, second = folders.values()
    if _stems(first) != _stems(second):
        return ""
    return f"{first.path.name} and {second.path.name} contain the same files, as pairs do, for which there is no task"
