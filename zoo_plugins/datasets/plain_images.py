"""Images anywhere in a folder, which have no labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.class_folders import SPLITS, Found, Sample, Tree, read_tree

_PUT = "Put PNG or JPEG images into it."


def find(folder: Path) -> Found:
    """All images below ``folder``; in ``train``, ``val`` and ``test`` they are those of the split.

    Raises:
        zoo.ZooError: if a folder can't be read, or there are no images.
    """
    if not folder.is_dir():
        kind, hint = ("is a file", "Unpack it if it is an archive.") if folder.exists() else ("does not exist", _PUT)
        raise zoo.ZooError(f"{folder} {kind}, but should be a folder with images.", hint)
    root = read_tree(folder, ())
    others = root.all_others()
    if not root.all_images():
        found = f", but {own_files.counted(others)}" if others else ""
        raise zoo.ZooError(f"{folder} contains no images{found}.", _hint(others, _PUT))
    splits = {split: _samples(images) for split, images in _by_split(root).items()}
    counted = [own_files.counted(others)] if others else []
    if hidden := root.all_hidden():
        counted.append(f"{hidden} hidden file{'s' * (hidden > 1)}")
    return Found(splits, [""], [f"left out: {', '.join(counted)}"] if counted else [])


def _by_split(root: Tree) -> dict[str, list[Path]]:
    """The images of given splits; of "all" if there are others, or no split "train"."""
    folders = root.with_images()
    by_split: dict[str, list[Path]] = {}
    for name, one in folders.items():
        by_split.setdefault(split_of(name) or "", []).extend(one.all_images())
    if root.images or "" in by_split or "train" not in by_split:
        return {"all": root.all_images()}
    return by_split


def _samples(images: Sequence[Path]) -> list[Sample]:
    return [Sample(path, 0) for path in images]


def split_of(name: str) -> str | None:
    """The split that a folder is called after."""
    return SPLITS.get(name.casefold())


def are_convertible(entries: Sequence[Path]) -> bool:
    """Whether some files are images, or contain some, in formats that are not read."""
    return bool(_hint(entries, ""))


def _hint(entries: Sequence[Path], otherwise: str) -> str:
    """What to do about the entries; a table says nothing where there are no images."""
    return own_files.how_to_read([one for one in entries if one.suffix.lower() not in own_files.TABLES], otherwise)
