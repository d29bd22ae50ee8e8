"""A folder of images and a folder of their segmentation masks, paired by file name."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

import zoo_core as zoo
from zoo_plugins.common.augmentation import Preset, RandomTransform
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX, MaskClasses
from zoo_plugins.datasets.splits import split

Pair = tuple[Path, Path]


class MaskFolder(zoo.Dataset):
    """Pairs as ``{"image": (C, H, W) in [0, 1], "mask": (H, W) int64}``; in the mask 255 is the ignore index.

    ``folder/images/NAME.*`` is an image and ``folder/masks/NAME.png`` its mask: a palette or grayscale PNG whose pixel
    values are class indices, or those in ``class_values``. All files are checked by the first call of a method, and
    read again on access.

    Raises (from each method):
        zoo.ZooError: if the folder or a file can't be read, an image or a mask is missing, their sizes differ, or a
            mask contains an unknown class index. The message names the file.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="folder that contains `images` and `masks`")
        num_classes: int = zoo.setting(help="number of classes; class indices start at 0", ge=2, le=255)
        ignore_index: int = zoo.setting(255, "pixel value in the mask files that is ignored", ge=0, le=255)
        class_values: tuple[int, ...] = zoo.setting(
            (), "pixel values of class 0, 1, … in the mask files, such as [0,255]; empty: the class indices"
        )
        color: Literal["rgb", "gray"] = zoo.setting("rgb", "3 channels or 1 channel")
        max_value: int | None = zoo.setting(
            None, "value of white in images of 16 bits, such as 4095 for a 12-bit camera; null: 65535", ge=1, le=65535
        )
        height: int = zoo.setting(0, "height that images and masks are resized to; 0 keeps their height", ge=0)
        width: int = zoo.setting(0, "width that images and masks are resized to; 0 keeps their width", ge=0)
        crop_height: int = zoo.setting(0, "height of random crops for training; 0: no crops", ge=0)
        crop_width: int = zoo.setting(0, "width of random crops for training; 0: no crops", ge=0)
        augmentation: Preset = zoo.setting(
            "none", "random transforms of images and masks in training: none, flips, photo or microscopy"
        )
        validation_fraction: float = zoo.setting(0.1, "fraction of the pairs for validation, at least one", gt=0, lt=1)
        test_fraction: float = zoo.setting(0.1, "fraction of the pairs for the test, at least one", gt=0, lt=1)
        split_seed: int = zoo.setting(0, "seed of the random split", ge=0)

    config: Config

    def train(self) -> Pairs:
        return Pairs(self._split[0], self.config, _transform(self.config))

    def validation(self) -> Pairs:
        return Pairs(self._split[1], self.config)

    def test(self) -> Pairs:
        return Pairs(self._split[2], self.config)

    def provides(self) -> dict[str, Any]:
        return {"num_classes": self.config.num_classes, "in_channels": _channels(self.config)}

    def fingerprint(self) -> str:
        """Hash of the settings and of the content of every file."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "folder"}
        files = [file for part in self._split for pair in part for file in pair]
        return zoo.fingerprint_files(files, settings, folder=Path(self.config.folder).expanduser())

    @cached_property
    def _split(self) -> tuple[list[Pair], list[Pair], list[Pair]]:
        config = self.config
        folder = Path(config.folder).expanduser()
        pairs, notes, rest = find_pairs(folder)
        if len(pairs) < 3:
            raise zoo.ZooError(
                f"{folder} contains {len(pairs)} pairs of image and mask, but at least 3 are needed: for training, "
                f"validation and test{f' ({notes[0]})' if notes else ''}.",
                own_files.how_to_convert(
                    rest, "Put PNG or JPEG images into `images`, and PNG masks with the same names into `masks`."
                ),
            )
        notes += _check(pairs, config)
        if notes:
            warnings.warn(f"mask-folder: {'; '.join(notes)}.", stacklevel=4)
        return split(pairs, config.validation_fraction, config.test_fraction, config.split_seed)


class Pairs:
    """Images and masks, transformed at random if there is a ``transform``; files are read on access."""

    def __init__(
        self, pairs: Sequence[Pair], config: MaskFolder.Config, transform: RandomTransform | None = None
    ) -> None:
        self.pairs, self.config, self.transform = pairs, config, transform
        self._classes = _classes(config)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image_path, mask_path = self.pairs[index]
        image = zoo.read_image(image_path, _channels(self.config), self.config.max_value or own_files.MAX_16_BIT)
        pair = resize(image, self._classes.read(mask_path), self.config.height, self.config.width)
        if self.transform is None:
            return pair
        image, mask = self.transform(pair["image"], pair["mask"])
        return {"image": image, "mask": mask}


def resize(image: Tensor, mask: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """Image (C, H, W) and mask (H, W) resized to (height, width), where 0 keeps the side.

    The image is resized with bilinear interpolation, the mask with nearest-neighbor interpolation.
    """
    size = [height or image.shape[-2], width or image.shape[-1]]
    if size != list(image.shape[-2:]):
        image = transforms.resize(image, size, antialias=True).clamp(0, 1)
        mask = transforms.resize(mask.unsqueeze(0), size, transforms.InterpolationMode.NEAREST_EXACT)[0]  # (H, W)
    return {"image": image, "mask": mask}


def find_pairs(folder: Path) -> tuple[list[Pair], list[str], list[Path]]:
    """Images and masks of the same name, in natural order, a note on the files that are left out, if any, and those.

    Raises:
        zoo.ZooError: if a folder can't be read, or an image or a mask is missing.
    """
    images, masks = (_by_name(folder / name) for name in ("images", "masks"))
    found = {"images": images, "masks": masks}
    rest = {name: own_files.left_out(folder / name, files.values()) for name, files in found.items()}
    all_left_out = [entry for entries in rest.values() for entry in entries]
    notes = [f"left out of {name}: {own_files.counted(entries)}" for name, entries in rest.items() if entries]
    if images or masks:
        _refuse_unpaired(folder, images, masks, notes, all_left_out)
    pairs = [(path, masks[name]) for name, path in images.items()]
    return pairs, ["; ".join(notes)] if notes else [], all_left_out


def _refuse_unpaired(
    folder: Path, images: dict[str, Path], masks: dict[str, Path], notes: list[str], rest: list[Path]
) -> None:
    lacking = []
    for files, others, missing in ((images, masks, "mask"), (masks, images, "image")):
        unpaired = [path for name, path in files.items() if name not in others]
        if unpaired:
            more = f", and {len(unpaired) - 1} more have none" if len(unpaired) > 1 else ""
            lacking.append(f"{unpaired[0]} has no {missing} in {folder / f'{missing}s'}{more}")
    if lacking:
        left_out = f" ({'; '.join(notes)})" if notes else ""
        raise zoo.ZooError(
            f"{'; '.join(lacking)}{left_out}.",
            own_files.how_to_convert(
                rest, "An image and its mask have the same name without the suffix, also in upper and lower case."
            ),
        )


def _by_name(folder: Path) -> dict[str, Path]:
    try:
        files = zoo.image_files(folder)
    except OSError as error:
        raise zoo.ZooError(
            f"{folder} can't be read: {error.strerror}.",
            "Set dataset.folder to a folder that contains `images` and `masks`.",
        ) from error
    by_name: dict[str, Path] = {}
    for file in files:
        name = unicodedata.normalize("NFC", file.stem)  # macOS decomposes accents, other systems do not
        if by_name.setdefault(name, file) is not file:
            raise zoo.ZooError(
                f"{folder} contains {by_name[name].name} and {file.name}, two files with the name '{file.stem}'.",
                "Rename one of them and the file it is paired with.",
            )
    return by_name


def _check(pairs: Sequence[Pair], config: MaskFolder.Config) -> list[str]:
    """Read all files once; notes on what is converted.

    Raises:
        zoo.ZooError: if one of them can't be used; the message names it.
    """
    images, masks = [image for image, _ in pairs], [mask for _, mask in pairs]
    image_facts, mask_facts = zoo.check_images(images), zoo.check_masks(masks)
    resized = bool(config.height and config.width)
    for (image, mask), found, expected in zip(pairs, image_facts, mask_facts, strict=True):
        if found.frames > 1:
            raise zoo.BadFile(f"{image} holds {found.frames} frames, but should be one image.", "Give one frame.")
        if (found.height, found.width) != (expected.height, expected.width):
            raise zoo.ZooError(
                f"{image} is {found.height} x {found.width}, but its mask {mask} is {expected.height} x "
                f"{expected.width}.",
                "Give a mask of the same size as its image.",
            )
        _refuse_unclear_orientation(image, found, mask, expected)
        first = image_facts[0]
        if not resized and (found.height, found.width) != (first.height, first.width):
            raise zoo.ZooError(
                f"{image} is {found.height} x {found.width}, but {images[0].name} is {first.height} x {first.width}.",
                "Write for example `dataset.height=128 dataset.width=128` to resize all images and masks.",
            )
    own_files.check_depth(images, image_facts, config.max_value)
    notes = own_files.conversions(images, image_facts, _channels(config))
    return notes + _classes(config).check(masks, mask_facts)


def _refuse_unclear_orientation(image: Path, found: zoo.ImageFacts, mask: Path, expected: zoo.MaskFacts) -> None:
    """Refuse a pair of which one is rotated or mirrored on reading, unless the sizes say that they fit then."""
    if found.orientation == expected.orientation:
        return
    transposed = found.orientation > 4 or expected.orientation > 4
    if transposed and found.height != found.width:
        return
    turned, other = (image, mask) if found.orientation != 1 else (mask, image)
    number = found.orientation if turned is image else expected.orientation
    raise zoo.BadFile(
        f"{turned} has the EXIF orientation {number}, by which it is turned on reading, and {other} has another.",
        "Save both upright, without an orientation, and check that the mask lies on its image.",
    )


def _channels(config: MaskFolder.Config) -> int:
    return 3 if config.color == "rgb" else 1


def _transform(config: MaskFolder.Config) -> RandomTransform | None:
    if not (config.crop_height or config.crop_width or config.augmentation != "none"):
        return None
    return RandomTransform(config.augmentation, config.crop_height, config.crop_width, IGNORE_INDEX)


def _classes(config: MaskFolder.Config) -> MaskClasses:
    return MaskClasses(config.num_classes, config.class_values, config.ignore_index)
