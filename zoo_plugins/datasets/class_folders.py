"""Folders of images, one for each class; for all images or within the folders of given splits."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import zoo_core as zoo
from zoo_plugins.datasets import own_files

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_MOVE = "Put the images of each class into a folder of its own: FOLDER/cat/1.png, FOLDER/dog/1.png."


class Sample(NamedTuple):
    """A file, and the index of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class Found:
    """The images of each split, or of "all" if no splits are given; the class names, and notes on what is left out."""

    splits: dict[str, list[Sample]]
    class_names: list[str]
    notes: list[str]


@dataclass
class Tree:
    """The images in a folder and its sub-folders, and everything else there."""

    path: Path
    images: list[Path] = field(default_factory=list)
    below: dict[str, Tree] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    hidden: int = 0

    def all_images(self) -> list[Path]:
        return self.images + [image for one in self.below.values() for image in one.all_images()]

    def all_others(self) -> list[Path]:
        return self.others + [other for one in self.below.values() for other in one.all_others()]

    def all_hidden(self) -> int:
        return self.hidden + sum(one.all_hidden() for one in self.below.values())

    def with_images(self) -> dict[str, Tree]:
        """The sub-folders with images, by name."""
        return {name: one for name, one in self.below.items() if one.all_images()}


def find(folder: Path) -> Found:
    """The images of the classes below ``folder``.

    Raises:
        zoo.ZooError: if a folder can't be read, there are fewer than two classes, or the layout is not clear.
    """
    if not folder.is_dir():
        kind, hint = ("is a file", "Unpack it if it is an archive.") if folder.exists() else ("does not exist", _MOVE)
        raise zoo.ZooError(f"{folder} {kind}, but should be a folder with a folder for each class.", hint)
    root = read_tree(folder, ())
    given = _given_splits(root)
    by_split = {"all": root} if given is None else given
    names = _class_names(root, by_split)
    splits = {
        split: [Sample(path, label) for label, name in enumerate(names) for path in _images_of(one, name)]
        for split, one in by_split.items()
    }
    notes = _left_out(root, by_split, names) + _alike(names)
    return Found(splits, names, notes)


def read_tree(path: Path, above: tuple[Path, ...]) -> Tree:
    """Everything in a folder; a link to a folder that contains it is not followed."""
    try:
        entries = sorted(path.iterdir(), key=zoo.natural_key)
        images = {image for image in zoo.image_files(path) if not image.is_dir()}
        above = (*above, path.resolve())
    except OSError as error:
        raise zoo.ZooError(f"{path} can't be read: {error.strerror}.", "Make it a readable folder.") from error
    visible = set(own_files.visible(path))
    found = Tree(path, hidden=len(entries) - len(visible))
    for entry in entries:
        if entry not in visible:
            continue
        if entry in images or (entry.suffix.lower() == ".npy" and not entry.is_dir()):
            found.images.append(entry)
        elif entry.is_dir() and entry.resolve() not in above:
            found.below[unicodedata.normalize("NFC", entry.name)] = read_tree(entry, above)
        else:
            found.others.append(entry)
    return found


def _given_splits(root: Tree) -> dict[str, Tree] | None:
    """The folders of train, validation and test; None if the folders are those of classes."""
    folders = root.with_images()
    named = {name: one for name, one in folders.items() if name.casefold() in SPLITS}
    divided = [name for name, one in named.items() if len(one.images) < len(one.all_images()) / 2]
    if not divided:
        if named and len(named) == len(folders):
            name = next(iter(named))
            raise zoo.ZooError(f"{named[name].path} contains images, but no class folders.", _move_into(named[name]))
        _refuse_splits_within_classes(folders)
        return None
    if unclear := [name for name in folders if name not in divided]:
        raise zoo.ZooError(
            f"{root.path} contains {divided[0]}, which looks like a split with class folders, and also "
            f"{own_files.listed(unclear)}.",
            f"Move {unclear[0]} elsewhere or into class folders; or rename {divided[0]} if it is a class.",
        )
    splits: dict[str, Tree] = {}
    for name, one in named.items():
        split = SPLITS[name.casefold()]
        if (first := splits.setdefault(split, one)) is not one:
            raise zoo.ZooError(
                f"{root.path} contains {first.path.name} and {name}, two folders for the split {split}.",
                "Move the images of both into one of them.",
            )
    if "train" not in splits:
        raise zoo.ZooError(
            f"{root.path} contains {own_files.listed(list(named))}, but no folder `train`.",
            "Call the folder of the training images `train`.",
        )
    return splits


def _refuse_splits_within_classes(folders: Mapping[str, Tree]) -> None:
    """Refuse ``cat/train``, ``cat/test``, …: as folders below a class, they would be mixed."""
    inner = [{SPLITS[name.casefold()] for name in one.below if name.casefold() in SPLITS} for one in folders.values()]
    if len(inner) > 1 and all(len(splits) > 1 for splits in inner):
        name = next(iter(folders))
        split = next(one for one in folders[name].below if one.casefold() in SPLITS)
        raise zoo.ZooError(
            f"{folders[name].path} contains folders of splits, such as {split}, which belong above the classes.",
            f"Move {name}/{split} to {split}/{name}, and the others likewise.",
        )


def _class_names(root: Tree, by_split: Mapping[str, Tree]) -> list[str]:
    """The names of the class folders of all splits, in natural order."""
    train = by_split.get("train", root)
    folders = train.with_images()
    if not folders:
        entries = train.all_others()
        if train.images:
            raise zoo.ZooError(f"{train.path} contains {_images(len(train.images))}, but no class folders.", _MOVE)
        found = f", but {own_files.counted(entries)}" if entries else ""
        raise zoo.ZooError(f"{train.path} contains no folders with images{found}.", _cure(entries))
    if len(folders) == 1:
        ((name, only),) = folders.items()
        deeper = only.with_images()
        raise zoo.ZooError(
            f"{train.path} contains one class folder, {name}, but at least 2 are needed.",
            f"The classes are one level deeper: write `dataset.folder={only.path}`."
            if len(deeper) > 1 and "all" in by_split
            else _cure(train.all_others()),
        )
    for split, one in by_split.items():
        if unknown := [name for name in one.with_images() if name not in folders]:
            near = [name for name in folders if name.casefold() == unknown[0].casefold()]
            raise zoo.ZooError(
                f"{one.path} contains images of the class {unknown[0]}, of which {train.path} has none.",
                f"Rename {unknown[0]} to {near[0]}, as in the split train."
                if near
                else f"Add images of {unknown[0]} to {train.path}, or move the class out of the split {split}.",
            )
    if unfit := [name for name in folders if "${" in name or not name.isprintable()]:
        raise zoo.ZooError(
            f"{train.path} contains the class folder {unfit[0]!r}, a name that a recipe cannot contain.", "Rename it."
        )
    return sorted(folders, key=lambda name: zoo.natural_key(f"{name}."))  # the key leaves out an ending, as of v1.10


def _images_of(split: Tree, name: str) -> list[Path]:
    return split.below[name].all_images() if name in split.below else []


def _left_out(root: Tree, by_split: Mapping[str, Tree], names: Sequence[str]) -> list[str]:
    """A note on everything that is not an image of a class.

    Raises:
        zoo.BadFile: if the images of a class are all of formats that are not read, so that the class would be missing.
    """
    holders = list({id(one): one for one in (root, *by_split.values())}.values())
    unused = [one for holder in holders for one in holder.below.values() if not one.all_images()]
    for one in unused:
        if hint := own_files.how_to_convert(one.all_others(), ""):
            raise zoo.BadFile(
                f"{one.path} contains no image that can be read, but {own_files.counted(one.all_others())}.", hint
            )
    beside = [image for holder in holders for image in holder.images]
    empty = [one.path.name for one in unused if one.path.name not in names]
    counted = [own_files.counted(root.all_others())] if root.all_others() else []
    if beside:
        counted.append(
            f"{_images(len(beside))} beside the class folders ({own_files.listed([one.name for one in beside])})"
        )
    if empty:
        counted.append(f"{len(empty)} folder{'s' * (len(empty) > 1)} without images ({own_files.listed(empty)})")
    if hidden := root.all_hidden():
        counted.append(f"{hidden} hidden file{'s' * (hidden > 1)}")
    return [f"left out: {', '.join(counted)}"] if counted else []


def _alike(names: Sequence[str]) -> list[str]:
    """A note on names that differ in upper and lower case only."""
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(name.casefold(), []).append(name)
    alike = [" and ".join(same) for same in by_key.values() if len(same) > 1]
    return [f"classes that differ only in upper and lower case: {own_files.listed(alike)}"] if alike else []


def _move_into(split: Tree) -> str:
    return f"Put the images of each class into a folder of its own: {split.path / 'cat'}, {split.path / 'dog'}."


def _cure(entries: Sequence[Path]) -> str:
    return own_files.how_to_read(entries, _MOVE)


def _images(count: int) -> str:
    return f"{count} image{'s' * (count > 1)}"
