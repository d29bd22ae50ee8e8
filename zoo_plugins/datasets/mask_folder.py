"""The user's own pictures and their masks, paired by name."""

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

IGNORED = 255  # in a mask: a pixel that belongs to no class
Pair = tuple[Path, Path]


class MaskFolder(zoo.Dataset):
    """Pairs as ``{"image": (C, H, W) in [0, 1], "mask": (H, W), 255 where a pixel belongs to no class}``.

    ``folder/images/NAME.*`` is a picture and ``folder/masks/NAME.png`` its mask: a PNG whose pixels are numbers of
    classes, with a palette or gray. Files are read when they are asked for.

    Raises (from each method):
        zoo.ZooError: if the folder can't be read, a picture has no mask or a mask no picture, their sizes differ, or a
            mask has a number that is no class; each named.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="where `images` and `masks` lie")
        classes: int = zoo.setting(help="masks have the numbers 0 to classes - 1", ge=2, le=255)
        ignore_index: int = zoo.setting(255, "the number that pixels of no class have in the files", ge=0, le=255)
        color: Literal["rgb", "gray"] = zoo.setting("rgb", "3 channels or 1")
        height: int = zoo.setting(0, "pictures and masks are scaled to this height; 0 leaves their size", ge=0)
        width: int = zoo.setting(0, "pictures and masks are scaled to this width; 0 leaves their size", ge=0)
        validation_fraction: float = zoo.setting(0.1, "share of the pairs, at least one", gt=0, lt=1)
        test_fraction: float = zoo.setting(0.1, "share of the pairs, at least one", gt=0, lt=1)
        split_seed: int = zoo.setting(0, "another seed deals the pairs out differently", ge=0)

    config: Config

    def train(self) -> Pairs:
        return Pairs(self._split[0], self.config)

    def validation(self) -> Pairs:
        return Pairs(self._split[1], self.config)

    def test(self) -> Pairs:
        return Pairs(self._split[2], self.config)

    def fingerprint(self) -> str:
        """Of the settings that matter and of every file's name and size in bytes."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "folder"}
        files = [(file.name, file.stat().st_size) for part in self._split for pair in part for file in pair]
        return hashlib.sha256(json.dumps([settings, files]).encode()).hexdigest()[:16]

    @cached_property
    def _split(self) -> tuple[list[Pair], list[Pair], list[Pair]]:
        folder = Path(self.config.folder).expanduser()
        pairs = find_pairs(folder)
        if len(pairs) < 3:
            raise zoo.ZooError(
                f"{folder} has {len(pairs)} pairs of picture and mask; it takes 3: one to train on, one to validate "
                "with, one to measure on.",
                "Put pictures into `images` and masks of the same names into `masks`.",
            )
        _refuse_unlike_sizes(pairs, scaled=bool(self.config.height and self.config.width))
        config = self.config
        return split(pairs, config.validation_fraction, config.test_fraction, config.split_seed)


class Pairs:
    """Pictures and masks; a map-style data set that reads files as it is asked."""

    def __init__(self, pairs: Sequence[Pair], config: MaskFolder.Config) -> None:
        self.pairs, self.config = pairs, config

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image_path, mask_path = self.pairs[index]
        image = zoo.read_image(image_path, 3 if self.config.color == "rgb" else 1)
        mask = read_mask(mask_path, self.config.classes, self.config.ignore_index)
        mask = mask.where(mask != self.config.ignore_index, IGNORED)
        return scaled(image, mask, self.config.height, self.config.width)


def scaled(image: Tensor, mask: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """Picture (C, H, W) and mask (H, W) scaled to (height, width), 0 meaning as it is; the mask keeps its numbers."""
    size = [height or image.shape[-2], width or image.shape[-1]]
    if size != list(image.shape[-2:]):
        image = transforms.resize(image, size, antialias=True).clamp(0, 1)
        mask = transforms.resize(mask.unsqueeze(0), size, transforms.InterpolationMode.NEAREST_EXACT)[0]
    return {"image": image, "mask": mask}


def read_mask(path: Path, classes: int, ignore_index: int) -> Tensor:
    """A PNG whose pixels are numbers of classes as (H, W) int64.

    Raises:
        zoo.ZooError: if it can't be read, its pixels are colors, or one is no class.
    """
    with _open(path) as picture:
        if picture.mode not in ("P", "L", "1"):
            raise zoo.ZooError(
                f"{path} has pixels of mode {picture.mode}, but should have numbers of classes.",
                "Save it as a PNG with a palette (mode P) or in gray (mode L).",
            )
        mask = torch.from_numpy(np.array(ImageOps.exif_transpose(picture)).astype(np.int64))
    unknown = [number for number in mask.unique().tolist() if number >= classes and number != ignore_index]
    if unknown:
        raise zoo.ZooError(
            f"{path} has the number {', '.join(map(str, unknown[:5]))}, but the {classes} classes are 0 to "
            f"{classes - 1}, and {ignore_index} is ignored.",
            "Write `dataset.classes=…` or `dataset.ignore_index=…`, or mend the mask.",
        )
    return mask


def find_pairs(folder: Path) -> list[Pair]:
    """Pictures and masks of the same name, in name order.

    Raises:
        zoo.ZooError: if a folder can't be read, or a picture or a mask stands alone.
    """
    images, masks = (_by_name(folder / name) for name in ("images", "masks"))
    for ours, others, missing in ((images, masks, "mask"), (masks, images, "picture")):
        alone = [path for name, path in ours.items() if name not in others]
        if alone:
            where = folder / ("masks" if missing == "mask" else "images")
            raise zoo.ZooError(
                f"{alone[0]} has no {missing} in {where}"
                + (f", nor have {len(alone) - 1} others." if len(alone) > 1 else "."),
                "A picture and its mask have the same name, but for the ending.",
            )
    return [(path, masks[name]) for name, path in images.items()]


def _by_name(folder: Path) -> dict[str, Path]:
    try:
        files = zoo.image_files(folder)
    except OSError as error:
        raise zoo.ZooError(
            f"{folder} can't be read: {error.strerror}.",
            "dataset.folder should hold `images` and `masks`.",
        ) from error
    named: dict[str, Path] = {}
    for file in files:
        if named.setdefault(file.stem, file) is not file:
            raise zoo.ZooError(
                f"{folder} has {named[file.stem].name} and {file.name}, two pictures of the name '{file.stem}'.",
                "Rename one of them, and what it is paired with.",
            )
    return named


def _refuse_unlike_sizes(pairs: list[Pair], *, scaled: bool) -> None:
    """Reads headers only."""
    first: tuple[int, int] | None = None
    for image, mask in pairs:
        sizes = [zoo.clip_shape(path)[1:] for path in (image, mask)]
        if sizes[0] != sizes[1]:
            raise zoo.ZooError(
                f"{image} is {sizes[0][0]} x {sizes[0][1]}, but its mask {mask} is {sizes[1][0]} x {sizes[1][1]}.",
                "A mask has as many pixels as its picture.",
            )
        first = first or sizes[0]
        if not scaled and sizes[0] != first:
            raise zoo.ZooError(
                f"{image} is {sizes[0][0]} x {sizes[0][1]}, but {pairs[0][0].name} is {first[0]} x {first[1]}.",
                "Write for example `dataset.height=128 dataset.width=128`: all are scaled to that.",
            )


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise zoo.ZooError(
            f"{path} can't be read: {error}.", "Give a PNG or JPEG file, and a mask as a PNG."
        ) from error
