"""A folder of images and a folder of their segmentation masks, paired by file name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

import zoo_core as zoo
from zoo_plugins.datasets.splits import split

IGNORE_INDEX = 255  # of the masks that this dataset returns
Pair = tuple[Path, Path]


class MaskFolder(zoo.Dataset):
    """Pairs as ``{"image": (C, H, W) in [0, 1], "mask": (H, W) int64}``; in the mask 255 is the ignore index.

    ``folder/images/NAME.*`` is an image and ``folder/masks/NAME.png`` its mask: a palette or grayscale PNG whose pixel
    values are class indices. Files are read on access.

    Raises (from each method):
        zoo.ZooError: if the folder can't be read, an image or a mask is missing, their sizes differ, or a mask contains
            an unknown class index. The message names the file.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="folder that contains `images` and `masks`")
        num_classes: int = zoo.setting(help="number of classes; class indices start at 0", ge=2, le=255)
        ignore_index: int = zoo.setting(255, "pixel value in the mask files that is ignored", ge=0, le=255)
        color: Literal["rgb", "gray"] = zoo.setting("rgb", "3 channels or 1 channel")
        height: int = zoo.setting(0, "height that images and masks are resized to; 0 keeps their height", ge=0)
        width: int = zoo.setting(0, "width that images and masks are resized to; 0 keeps their width", ge=0)
        validation_fraction: float = zoo.setting(0.1, "fraction of the pairs for validation, at least one", gt=0, lt=1)
        test_fraction: float = zoo.setting(0.1, "fraction of the pairs for the test, at least one", gt=0, lt=1)
        split_seed: int = zoo.setting(0, "seed of the random split", ge=0)

    config: Config

    def train(self) -> Pairs:
        return Pairs(self._split[0], self.config)

    def validation(self) -> Pairs:
        return Pairs(self._split[1], self.config)

    def test(self) -> Pairs:
        return Pairs(self._split[2], self.config)

    def fingerprint(self) -> str:
        """Hash of the settings and of each file's name and size in bytes."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "folder"}
        files = [(file.name, file.stat().st_size) for part in self._split for pair in part for file in pair]
        return hashlib.sha256(json.dumps([settings, files]).encode()).hexdigest()[:16]

    @cached_property
    def _split(self) -> tuple[list[Pair], list[Pair], list[Pair]]:
        folder = Path(self.config.folder).expanduser()
        pairs = find_pairs(folder)
        if len(pairs) < 3:
            raise zoo.ZooError(
                f"{folder} contains {len(pairs)} pairs of image and mask, but at least 3 are needed: for training, "
                "validation and test.",
                "Put images into `images` and masks with the same names into `masks`.",
            )
        _check_sizes(pairs, resized=bool(self.config.height and self.config.width))
        config = self.config
        return split(pairs, config.validation_fraction, config.test_fraction, config.split_seed)


class Pairs:
    """Images and masks: a map-style dataset that reads files on access."""

    def __init__(self, pairs: Sequence[Pair], config: MaskFolder.Config) -> None:
        self.pairs, self.config = pairs, config

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image_path, mask_path = self.pairs[index]
        image = zoo.read_image(image_path, 3 if self.config.color == "rgb" else 1)
        mask = read_mask(mask_path, self.config.num_classes, self.config.ignore_index)
        mask = mask.where(mask != self.config.ignore_index, IGNORE_INDEX)
        return resize(image, mask, self.config.height, self.config.width)


def resize(image: Tensor, mask: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """Image (C, H, W) and mask (H, W) resized to (height, width), where 0 keeps the side.

    The image is resized with bilinear interpolation, the mask with nearest-neighbor interpolation.
    """
    size = [height or image.shape[-2], width or image.shape[-1]]
    if size != list(image.shape[-2:]):
        image = transforms.resize(image, size, antialias=True).clamp(0, 1)
        mask = transforms.resize(mask.unsqueeze(0), size, transforms.InterpolationMode.NEAREST_EXACT)[0]  # (H, W)
    return {"image": image, "mask": mask}


def read_mask(path: Path, num_classes: int, ignore_index: int) -> Tensor:
    """The class indices (H, W) int64 of a mask file.

    Raises:
        zoo.ZooError: if the file can't be read, has color channels, or contains an unknown class index.
    """
    with _open(path) as file:
        if file.mode not in ("P", "L", "1"):
            raise zoo.ZooError(
                f"{path} is an image of mode {file.mode}, but its pixels should be class indices.",
                "Save it as a PNG with a palette (mode P) or in grayscale (mode L).",
            )
        mask = torch.from_numpy(np.array(ImageOps.exif_transpose(file)).astype(np.int64))
    unknown = [index for index in mask.unique().tolist() if index >= num_classes and index != ignore_index]
    if unknown:
        raise zoo.ZooError(
            f"{path} contains {', '.join(map(str, unknown[:5]))}, but class indices are 0 to {num_classes - 1}, and "
            f"{ignore_index} is ignored.",
            "Write `dataset.num_classes=…` or `dataset.ignore_index=…`, or fix the mask.",
        )
    return mask


def find_pairs(folder: Path) -> list[Pair]:
    """Images and masks of the same name, sorted by name.

    Raises:
        zoo.ZooError: if a folder can't be read, or an image or a mask is missing.
    """
    images, masks = (_by_name(folder / name) for name in ("images", "masks"))
    for files, others, missing in ((images, masks, "mask"), (masks, images, "image")):
        unpaired = [path for name, path in files.items() if name not in others]
        if unpaired:
            more = f", and {len(unpaired) - 1} more have none" if len(unpaired) > 1 else ""
            raise zoo.ZooError(
                f"{unpaired[0]} has no {missing} in {folder / f'{missing}s'}{more}.",
                "An image and its mask have the same name without the suffix.",
            )
    return [(path, masks[name]) for name, path in images.items()]


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
        if by_name.setdefault(file.stem, file) is not file:
            raise zoo.ZooError(
                f"{folder} contains {by_name[file.stem].name} and {file.name}, two files with the name '{file.stem}'.",
                "Rename one of them and the file it is paired with.",
            )
    return by_name


def _check_sizes(pairs: list[Pair], *, resized: bool) -> None:
    """Reads only the headers of the files."""
    first: tuple[int, int] | None = None
    for image, mask in pairs:
        image_size, mask_size = (zoo.clip_shape(path)[1:] for path in (image, mask))
        if image_size != mask_size:
            raise zoo.ZooError(
                f"{image} is {image_size[0]} x {image_size[1]}, but its mask {mask} is "
                f"{mask_size[0]} x {mask_size[1]}.",
                "Give a mask of the same size as its image.",
            )
        first = first or image_size
        if not resized and image_size != first:
            raise zoo.ZooError(
                f"{image} is {image_size[0]} x {image_size[1]}, but {pairs[0][0].name} is {first[0]} x {first[1]}.",
                "Write for example `dataset.height=128 dataset.width=128` to resize all images and masks.",
            )


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as file:
            yield file
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise zoo.ZooError(
            f"{path} can't be read: {error}.", "Give a PNG or JPEG file, and a mask as a PNG."
        ) from error
