"""What a data set of masks leaves out of its folder, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.mask_folders import Folder, list_folder
from zoo_plugins.datasets.mask_pairs import MASK_SUFFIXES, Pair

_MOST_FOLDERS = 4  # that are named one by one
_LIKE_IMAGES = (*MASK_SUFFIXES, *own_files.OTHER_IMAGES)


def left_out_notes(
    root: Path,
    folders: Sequence[Folder],
    pairs: Sequence[Pair],
    unlabeled: Sequence[Folder],
    unpaired: Sequence[Path] = (),
) -> tuple[list[str], list[Path]]:
    """A phrase on what is not used of each folder, and these files and folders.

    Of the folders of the pairs that is everything but the ``unpaired`` files, which are refused; of others what looks
    like an image.
    """
    used = {path for pair in pairs for path in (pair.image, *pair.masks)} | set(unpaired)
    of_pairs = dict.fromkeys(path.parent for path in used)
    parents = {parent for path in of_pairs for parent in (path, *path.parents)}
    described = {parent for one in folders if one.path not in of_pairs for parent in (one.path, *one.path.parents)}
    found: dict[Path, list[Path]] = {}
    everywhere = dict.fromkeys([*_usual(root), *of_pairs, *(one.path for one in folders), root])
    for folder in sorted(everywhere, key=lambda path: (path.relative_to(root).parts, path)):
        entries = [path for path in list_folder(folder) if path not in used and path not in parents]
        if folder not in of_pairs:
            entries = [path for path in entries if path.suffix.lower() in _LIKE_IMAGES and not path.is_dir()]
        else:
            entries = [path for path in entries if path not in described]
        if entries:
            found[folder] = entries
    without_masks = [path for one in unlabeled for path in found.pop(one.path, [])]
    notes = [f"left out of {_name(root, folder)}: {own_files.counted(entries)}" for folder, entries in found.items()]
    rest = [path for entries in found.values() for path in entries]
    if len(notes) > _MOST_FOLDERS:
        notes = [f"left out of {len(notes)} folders, as {_name(root, next(iter(found)))}: {own_files.counted(rest)}"]
    if without_masks:
        where = _name(root, unlabeled[0].path) + (f" and {len(unlabeled) - 1} more" if len(unlabeled) > 1 else "")
        notes.append(f"left out of {where}: {own_files.counted(without_masks)}, which have no masks")
    return notes, rest + without_masks


def _name(root: Path, folder: Path) -> str:
    return folder.name if folder == root else folder.relative_to(root).as_posix()


def _usual(root: Path) -> list[Path]:
    """The usual folders, whose files are named even if none of them can be read."""
    return [path for path in list_folder(root) if path.is_dir()]
