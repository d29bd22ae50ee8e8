"""Find the images and masks in a folder: which mask belongs to which image, and which split is given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zoo_core as zoo
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.class_files import ClassFiles
from zoo_plugins.datasets.class_layouts import FoundClassFiles, find_class_files
from zoo_plugins.datasets.coco import CocoFile, find_coco
from zoo_plugins.datasets.coco_masks import CocoMasks
from zoo_plugins.datasets.mask_folders import Folder, unpacked, walk, walk_role
from zoo_plugins.datasets.mask_groups import WHERE, Group, find_groups
from zoo_plugins.datasets.mask_lists import apply_lists, find_lists
from zoo_plugins.datasets.mask_names import IMAGE, MASK
from zoo_plugins.datasets.mask_pairs import Pair, refuse_twins
from zoo_plugins.datasets.mask_planes import find_planes
from zoo_plugins.datasets.mask_rest import left_out_notes
from zoo_plugins.datasets.mask_stacks import sliced

_CHANNEL = re.compile(r"(?P<name>.+)_00\d\d")
_SAME_NAME = "An image and its mask have the same name without the suffix, also in upper and lower case."


@dataclass(frozen=True)
class Layout:
    """What `find_layout` finds in a folder.

    Parameters
    ----------
    root : pathlib.Path
        The folder, or the only one in it.
    description : str
        One line about the images, the masks and the splits.
    splits : mapping of str to list of Pair
        The pairs of "train", "validation" and "test", as far as they are given; of "" if no split is given.
    left_out : list of str
        A phrase on each group of files that are not used.
    files_left_out : list of pathlib.Path
        These files and folders.
    annotated : CocoMasks or ClassFiles, optional
        Where the classes come from, if not from the values or colors of masks.
    """

    root: Path
    description: str
    splits: Mapping[str, list[Pair]]
    left_out: list[str] = field(default_factory=list)
    files_left_out: list[Path] = field(default_factory=list)
    annotated: CocoMasks | ClassFiles | None = None

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of all splits."""
        return [pair for pairs in self.splits.values() for pair in pairs]


def find_layout(folder: Path, images: str = "", masks: str = "") -> Layout:
    """Find the pairs of image and mask in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    images, masks : str, optional
        Names of its sub-folders of images and of masks. By default they are found by their usual names.

    Returns
    -------
    Layout
        The pairs by their split, and what is left out.

    Raises
    ------
    zoo.ZooError
        If a folder can't be read, nothing or more than one layout fits, or an image or a mask is missing.
    """
    if bool(images) != bool(masks):
        raise zoo.BadSetting(
            f"dataset.{'images' if images else 'masks'} is set, but dataset.{'masks' if images else 'images'} is not.",
            "Give the names of both sub-folders, as in `dataset.images=photos dataset.masks=drawn`.",
        )
    root = folder if images else unpacked(folder)
    folders = walk(root)
    files = [] if images else find_coco(root)
    if files:
        return _of_coco(root, folders, files)
    used = [*walk_role(root, images, IMAGE), *walk_role(root, masks, MASK)] if images else folders
    if (of_classes := find_class_files(used)) is not None:
        return _of_class_files(root, folders, of_classes)
    groups, unlabeled = find_groups(root, used)
    lists = find_lists(root)
    if not groups and not lists:
        raise _nothing_found(root, folders)
    _refuse_two_layouts(root, groups)
    given = apply_lists(root, lists, {pair: one.key[0] for one in groups for pair in one.pairing.pairs})
    if given is None:
        pairs = [pair for one in groups for pair in one.pairing.pairs]
        unpaired = [path for one in groups for path in (*one.pairing.images, *one.pairing.masks)]
        notes, rest = left_out_notes(root, folders, pairs, unlabeled, unpaired)
        for one in groups:
            _refuse_unpaired(one, notes, rest)
        by_split: dict[str, list[Pair]] = {}
        for one in groups:
            by_split.setdefault(one.key[0] or "", []).extend(one.pairing.pairs)
    else:
        by_split = given
        notes, rest = left_out_notes(root, folders, [p for pairs in given.values() for p in pairs], unlabeled)
    _refuse_no_training(root, by_split)
    by_split, sliced_notes = sliced(by_split)
    description = "; ".join([_describe(groups, by_split, [one.name for one in lists]), *sliced_notes])
    if (planes := find_planes(by_split, root)) is not None:
        by_split, annotated = planes
        return Layout(root, f"{description}; a mask has a plane for each class", by_split, notes, rest, annotated)
    return Layout(root, description, by_split, notes, rest)


def _refuse_no_training(root: Path, by_split: Mapping[str, Sequence[Pair]]) -> None:
    if "" not in by_split and not by_split.get("train"):
        raise zoo.ZooError(
            f"{root} contains pairs for {' and '.join(by_split)}, but none for training.",
            "Name the folder or the list of the training images `train`.",
        )


def _of_coco(root: Path, folders: Sequence[Folder], files: Sequence[CocoFile]) -> Layout:
    masks = CocoMasks(files)
    by_split = masks.by_split
    images = [Pair(pair.image, ()) for pairs in by_split.values() for pair in pairs]
    notes, rest = left_out_notes(root, folders, images, [], [file.path for file in files])
    names = " and ".join(file.path.relative_to(root).as_posix() for file in files)
    numbers = ", ".join(f"{len(pairs)} for {split}" for split, pairs in by_split.items() if split)
    description = f"{len(images)} images with COCO annotations in {names}" + (f": {numbers}" if numbers else "")
    _refuse_no_training(root, by_split)
    return Layout(root, description, by_split, notes, rest, masks)


def _of_class_files(root: Path, folders: Sequence[Folder], found: FoundClassFiles) -> Layout:
    pairs = [pair for part in found.by_split.values() for pair in part]
    notes, rest = left_out_notes(root, folders, pairs, [])
    _refuse_no_training(root, found.by_split)
    description = f"{len(pairs)} images with a mask file for each class"
    return Layout(root, description, found.by_split, notes, rest, ClassFiles(pairs, found.class_of))


def has_masks(folder: Path, given: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the folder has images with masks, or masks only, in any layout that `find_layout` finds.

    Settings of the data set that are ``given`` may name the sub-folders.

    Raises
    ------
    zoo.ZooError
        If there are masks without images, or a folder can't be read.
    """
    if {"images", "masks"} & given.get("dataset", {}).keys():
        return True
    root = unpacked(folder)
    if find_coco(root):
        return True
    folders = walk(root)
    return find_class_files(folders) is not None or bool(find_groups(root, folders)[0])


def _refuse_two_layouts(root: Path, groups: Sequence[Group]) -> None:
    """Refuse pairs with a split beside pairs without one, and pairs in one folder beside pairs in two."""
    for other in groups[1:]:
        first = groups[0]
        if (first.key[0] is None) != (other.key[0] is None) or first.is_side_by_side != other.is_side_by_side:
            raise zoo.ZooError(
                f"two layouts fit {root}: images in {first.where}, and images in {other.where}.",
                "Move one of them elsewhere, or set dataset.folder to a sub-folder.",
            )


def _refuse_unpaired(group: Group, notes: Sequence[str], rest: Sequence[Path]) -> None:
    if not group.is_side_by_side and not group.pairing.is_complete:
        refuse_twins(group.images)
        refuse_twins(group.masks)
    _refuse_channels(group.pairing.images)
    lacking = []
    for unpaired, missing, folder in (
        (group.pairing.images, "mask", group.mask_folder),
        (group.pairing.masks, "image", group.image_folder),
    ):
        if unpaired:
            more = f", and {len(unpaired) - 1} more have none" if len(unpaired) > 1 else ""
            lacking.append(f"{unpaired[0]} has no {missing} in {folder}{more}")
    if lacking:
        left_out = f" ({'; '.join(notes)})" if notes else ""
        how = f"The files are {group.pairing.how}; give each its partner, or move it elsewhere."
        cure = how if group.is_side_by_side else _SAME_NAME
        error = zoo.ZooError(f"{'; '.join(lacking)}{left_out}.", own_files.how_to_convert(rest, cure))
        zoo.report_fault(error, [*group.pairing.images, *group.pairing.masks])


def _refuse_channels(images: Sequence[Path]) -> None:
    """Refuse images with a file for each channel, as ``NAME_0000.png`` and ``NAME_0001.png`` of nnU-Net."""
    by_name: dict[str, list[Path]] = {}
    for path in images:
        if found := _CHANNEL.fullmatch(path.stem):
            by_name.setdefault(found["name"], []).append(path)
    for same in by_name.values():
        if len(same) > 1:
            raise zoo.BadFile(
                f"{same[0]} and {same[1].name} are channels of one image in files of their own.",
                f"Save the {len(same)} channels of each image in one TIFF or .npy file, named as its mask.",
            )


def _nothing_found(root: Path, folders: Sequence[Folder]) -> zoo.ZooError:
    notes, rest = left_out_notes(root, folders, [], [])
    found = f" ({'; '.join(notes[:4])})" if notes else ""
    return zoo.ZooError(
        f"{root} contains 0 pairs of image and mask that are recognized by their names{found}.",
        own_files.how_to_read(rest, WHERE),
    )


def _describe(groups: Sequence[Group], by_split: Mapping[str, Sequence[Pair]], lists: Sequence[str]) -> str:
    count = sum(map(len, by_split.values()))
    text = f"{count} pairs"
    if groups:
        more = f" and {len(groups) - 1} more" if len(groups) > 1 else ""
        text += f": images in {groups[0].where}{more}, {groups[0].pairing.how}"
    if "" in by_split:
        return text
    numbers = ", ".join(f"{len(pairs)} for {name}" for name, pairs in by_split.items())
    return f"{text}; the split is given by {'the lists ' + ', '.join(lists) if lists else 'the folders'}: {numbers}"
