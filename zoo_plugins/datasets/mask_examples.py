"""The examples of a folder of images and masks, which are read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

import zoo_core as zoo
from zoo_plugins.common.augmentation import RandomTransform
from zoo_plugins.common.image_size import target_size
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX
from zoo_plugins.datasets.mask_pairs import Pair
from zoo_plugins.datasets.mask_readers import MaskReader, read_merged


class Settings(Protocol):
    """The settings of ``mask-folder`` on how images are read."""

    @property
    def color(self) -> Literal["rgb", "gray"]: ...
    @property
    def channels(self) -> int: ...
    @property
    def max_value(self) -> int | None: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def shorter_side(self) -> int: ...


class Pairs:
    """Images and masks, transformed at random if there is a ``transform``; files are read on access."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        config: Settings,
        reader: MaskReader,
        transform: RandomTransform | None = None,
    ) -> None:
        self.pairs, self.config, self.reader, self.transform = pairs, config, reader, transform

    def __len__(self) -> int:
        return len(self.pairs)

    def image(self, index: int) -> Tensor:
        """An image (C, H, W) in [0, 1] as it is in its file."""
        path = self.pairs[index].image
        return zoo.read_image(path, channels(self.config), self.config.max_value, allow_dark=True)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        image = self.image(index)
        size = target_size(image_size(self.config), *image.shape[-2:])
        example = resize(image, read_merged(self.reader, self.pairs[index].masks), *size)
        if self.transform is None:
            return example
        image, mask = self.transform(example["image"], example["mask"])
        return {"image": image, "mask": mask}


class PairsOfSizes(Pairs):
    """Images and masks of several sizes for evaluation: those of a batch are padded to the largest of them."""

    def __getitems__(self, indices: Sequence[int]) -> zoo.Batch:
        examples = [self[index] for index in indices]
        sizes = torch.tensor([example["mask"].shape for example in examples])  # (N, 2)
        height, width = sizes.max(dim=0).values.tolist()

        def padded(name: str, value: float) -> Tensor:
            tensors = [example[name] for example in examples]
            sides = [(0, width - one.shape[-1], 0, height - one.shape[-2]) for one in tensors]
            return torch.stack([F.pad(one, side, value=value) for one, side in zip(tensors, sides, strict=True)])

        return zoo.Batch(image=padded("image", 0), mask=padded("mask", IGNORE_INDEX), size=sizes)


def image_size(config: Settings) -> tuple[int, ...]:
    """The setting of models of the same name: (height, width), (shorter side,), or nothing without resizing."""
    if config.height or config.width:
        return config.height, config.width
    return (config.shorter_side,) if config.shorter_side else ()


def resize(image: Tensor, mask: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """Image (C, H, W) and mask (H, W) resized to (height, width), where 0 keeps the side.

    The image is resized with bilinear interpolation, the mask with nearest-neighbor interpolation.
    """
    size = [height or image.shape[-2], width or image.shape[-1]]
    if size != list(image.shape[-2:]):
        image = transforms.resize(image, size, antialias=True).clamp(0, 1)
        mask = transforms.resize(mask.unsqueeze(0), size, transforms.InterpolationMode.NEAREST_EXACT)[0]  # (H, W)
    return {"image": image, "mask": mask}


def channels(config: Settings) -> int:
    """The number of channels of the images."""
    return config.channels or (3 if config.color == "rgb" else 1)
