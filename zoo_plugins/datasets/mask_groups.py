"""The pairs of image and mask in each folder: of two folders, of one, or of a folder for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.mask_folders import Folder, Key, list_folder
from zoo_plugins.datasets.mask_names import IMAGE, MASK
from zoo_plugins.datasets.mask_pairs import Pair, Pairing, pair_folders, pair_in_folder
from zoo_plugins.datasets.mask_rest import left_out_notes
from zoo_plugins.datasets.mask_stacks import is_stack, split_in_name

_ORDER = (None, "train", "validation", "test")
WHERE = (
    "Put images into `images` and masks with the same names into `masks`, or write for example "
    "`dataset.images=photos dataset.masks=drawn`."
)


@dataclass(frozen=True)
class Group:
    """The pairs of one folder of images, and where they are."""

    key: Key
    pairing: Pairing
    where: str
    is_side_by_side: bool = False
    image_folder: Path = Path()
    mask_folder: Path = Path()

    @property
    def images(self) -> list[Path]:
        return [*(pair.image for pair in self.pairing.pairs), *self.pairing.images]

    @property
    def masks(self) -> list[Path]:
        return [*(mask for pair in self.pairing.pairs for mask in pair.masks), *self.pairing.masks]


def find_groups(root: Path, folders: Sequence[Folder]) -> tuple[list[Group], list[Folder]]:
    """The pairs of each split and sub-folder, and the folders of images that have no masks."""
    found, unlabeled = [], []
    by_key: dict[Key, list[Folder]] = {}
    for one in folders:
        by_key.setdefault(one.key, []).append(one)
    labeled = {one.split for one in folders if one.role == MASK}
    sampled = _is_folder_for_each_sample(folders)
    for key, same in by_key.items():
        images = [one for one in same if one.role == IMAGE]
        masks = [one for one in same if one.role == MASK]
        plain = [one for one in same if one.role is None and one.images]
        if masks and not images:
            images = plain
        if images and masks:
            found.append(_paired(root, key, images, masks, sampled))
            continue
        inside = [group for one in [*images, *plain] for group in _side_by_side(one)]
        found += inside
        if not inside and images:
            _refuse_sample_without_masks(images[0], key, labeled)
            unlabeled += images
        if masks and not images and not key[1]:
            raise _one_kind_only(root, folders, f"masks in `{masks[0].name}`", masks[0].path.with_name("images"))
    if not found and unlabeled:
        images_only = f"images in `{unlabeled[0].name}`"
        raise _one_kind_only(root, folders, images_only, unlabeled[0].path.with_name("masks"))
    found.sort(key=lambda one: _ORDER.index(one.key[0]))
    return found, unlabeled


def _one_kind_only(root: Path, folders: Sequence[Folder], found: str, missing: Path) -> zoo.ZooError:
    used = [path for one in folders for path in (*one.images, *one.masks)]
    notes, rest = left_out_notes(root, folders, [], [], used)
    left_out = f" ({'; '.join(notes)})" if notes else ""
    if others := own_files.annotation_files(root, used):
        return zoo.ZooError(
            f"{root} contains {found}, and {len(others)} annotations such as {others[0]}, in a format that is not "
            "read.",
            "Convert them to COCO JSON, or to a mask for each image in a folder `masks`.",
        )
    return zoo.ZooError(
        f"{root} contains {found}, but {missing} is missing, or contains no files that are read{left_out}.",
        own_files.how_to_read([*rest, *list_folder(root)], WHERE),
    )


def _refuse_sample_without_masks(images: Folder, key: Key, labeled: set[str | None]) -> None:
    """Refuse ``ID/images`` without ``ID/masks``, unless the whole split has no masks."""
    if key[1] and not images.is_below and key[0] in labeled:
        raise zoo.ZooError(
            f"{images.images[0]} has no mask: {images.path.with_name('masks')} is missing or empty.",
            "Give each image a mask, or move the images without one elsewhere.",
        )


def _is_folder_for_each_sample(folders: Sequence[Folder]) -> bool:
    """Whether each sub-folder contains one image with its masks, as ``ID/images/*.png`` and ``ID/masks/*.png``."""
    images = [one for one in folders if one.role == IMAGE]
    return bool(images) and all(one.rest and not one.is_below and len(one.images) == 1 for one in images)


def _paired(root: Path, key: Key, images: Sequence[Folder], masks: Sequence[Folder], sampled: bool) -> Group:
    if sampled and len(images) == len(masks) == 1:
        pair = Pair(images[0].images[0], tuple(masks[0].masks))
        how = "of one image for each sub-folder" + (", several for an image" if len(pair.masks) > 1 else "")
        return Group(key, Pairing([pair], how), _where(images[0], masks[0]))
    fits = [(image, mask, pair_folders(image.images, mask.masks)) for image in images for mask in masks]
    if len(fits) > 1:
        fits = [fit for fit in fits if fit[2].pairs] or fits[:1]
    if len(fits) > 1:
        raise _two_layouts(root, fits)
    image, mask, pairing = fits[0]
    return Group(key, pairing, _where(image, mask), image_folder=image.path, mask_folder=mask.path)


def _where(image: Folder, mask: Folder) -> str:
    return f"`{image.name}` with masks in `{mask.name}`"


def _side_by_side(folder: Folder) -> list[Group]:
    """The pairs within one folder, if there are any."""
    files = sorted({*folder.images, *folder.masks}, key=zoo.natural_key)
    pairings = pair_in_folder(files)
    if len(pairings) > 1:
        raise zoo.ZooError(
            f"two layouts fit {folder.path}: files {pairings[0].how}, and files {pairings[1].how}.",
            "Move the files of one of them elsewhere.",
        )
    pairings = [_without_test_stacks(one) for one in pairings]
    where = f"`{folder.name}`" if folder.name != "." else "the folder"
    return [Group(folder.key, one, where, True, folder.path, folder.path) for one in pairings]


def _without_test_stacks(pairing: Pairing) -> Pairing:
    """The pairing without stacks for a test whose labels are not published, as ``test-volume.tif`` of ISBI."""
    images = [path for path in pairing.images if not (split_in_name(path) == "test" and is_stack(path))]
    return replace(pairing, images=images)


def _two_layouts(root: Path, fits: Sequence[tuple[Folder, Folder, Pairing]]) -> zoo.ZooError:
    first, second = (f"`{image.name}` with `{mask.name}`" for image, mask, _ in fits[:2])
    image, mask, _ = fits[0]
    return zoo.ZooError(
        f"two layouts fit {root}: {first}, and {second}.",
        f"Write for example `dataset.images={image.name} dataset.masks={mask.name}`, or move one of them elsewhere.",
    )
