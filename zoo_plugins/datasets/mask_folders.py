"""The folders of a data set of masks: which contain images, which contain masks, and of which split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.mask_names import IMAGE, MASK, Meaning, meaning, normalized
from zoo_plugins.datasets.mask_pairs import IMAGE_SUFFIXES, MASK_SUFFIXES, files_in

_DEPTH = 6
Key = tuple[str | None, tuple[str, ...]]  # the split, and the names on the way that say neither split nor role


@dataclass(frozen=True)
class Folder:
    """A folder with files that may be images or masks.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    name : str
        Its path below the folder of the data set.
    split : str or None
        "train", "validation" or "test", if a name on the way says so.
    role : str or None
        "image" or "mask", if a name on the way says so.
    rest : tuple of str
        The names on the way that say neither, in lower case.
    is_below : bool
        Whether a name of ``rest`` comes after the one that says the role.
    images : list of pathlib.Path
        The files that may be images.
    masks : list of pathlib.Path
        The files that may be masks.
    """

    path: Path
    name: str
    split: str | None
    role: str | None
    rest: tuple[str, ...]
    is_below: bool
    images: list[Path] = field(compare=False)
    masks: list[Path] = field(compare=False)

    @property
    def key(self) -> Key:
        return self.split, self.rest


def list_folder(folder: Path) -> list[Path]:
    """The visible entries of a folder in natural order.

    Raises:
        zoo.ZooError: if it can't be read.
    """
    try:
        return sorted(own_files.visible(folder), key=zoo.natural_key)
    except OSError as error:
        raise zoo.ZooError(
            f"{folder} can't be read: {error.strerror}.",
            "Set dataset.folder to a folder that contains `images` and `masks`.",
        ) from error


def unpacked(folder: Path) -> Path:
    """The folder, or the only one in it, as archives have: ``data/data/images``."""
    for _ in range(_DEPTH):
        entries = list_folder(folder)
        if len(entries) != 1 or not entries[0].is_dir() or meaning(entries[0].name) != Meaning():
            break
        folder = entries[0]
    return folder


def walk(root: Path) -> list[Folder]:
    """The folder ``root`` and those below it that contain files of images or masks, in natural order."""
    found: list[Folder] = []
    _walk(root, (), found, set())
    return found


def walk_role(root: Path, name: str, role: str) -> list[Folder]:
    """The folder ``root/name``, which contains images or masks, and those below it."""
    below = walk(root / name)
    return [
        Folder(
            *(one.path, name if one.name == "." else f"{name}/{one.name}", one.split, role, one.rest),
            *(bool(one.rest), one.images, one.masks),
        )
        for one in below
    ]


def _walk(folder: Path, parts: tuple[str, ...], found: list[Folder], visited: set[Path]) -> None:
    """Add a folder and those below it, each once, also if links lead back to it."""
    if (real := folder.resolve()) in visited:
        return
    visited.add(real)
    entries = list_folder(folder)
    images, masks = files_in(folder, IMAGE_SUFFIXES), files_in(folder, MASK_SUFFIXES)
    described = _described(folder, parts, images, masks)
    if described.images or described.masks:
        found.append(described)
    if len(parts) < _DEPTH:
        for entry in entries:
            if entry.is_dir() and entry.suffix.lower() not in IMAGE_SUFFIXES:
                _walk(entry, (*parts, entry.name), found, visited)


def _described(folder: Path, parts: Sequence[str], images: list[Path], masks: list[Path]) -> Folder:
    split = role = None
    rest: list[str] = []
    is_below = False
    for part in parts:
        said = meaning(part)
        if said == Meaning() or (said.split and split and said.split != split):
            rest.append(normalized(part).casefold())
            is_below = is_below or role is not None
        split, role = split or said.split, said.role or role
    if role == MASK:
        images = []
    elif role == IMAGE:
        masks = []
    return Folder(folder, "/".join(parts) or ".", split, role, tuple(rest), is_below, images, masks)
