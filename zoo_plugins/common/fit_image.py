"""Images of any size, brought to the size that a model is trained on."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

Resize = Literal["crop", "squash"]


def fit_image(image: Tensor, height: int, width: int, resize: Resize) -> Tensor:
    """An image (C, H, W) in [0, 1] as (C, height, width); 0 for both keeps its size.

    "crop" keeps the aspect: the image is resized until it just covers the size, and its center is cropped, as timm's
    ``crop_mode="center"`` with ``crop_pct=1``. "squash" changes the aspect. Both are bilinear with antialiasing. An
    image of 8 bits has 8 bits afterwards: its values are multiples of 1/255, so that it can be stored as bytes.
    """
    has_8_bits = bool(((image * 255) - (image * 255).round()).abs().max() < 1e-3)
    if height and width and image.shape[-2:] != (height, width):
        image = transforms.resize(image, _resized(image, height, width, resize), antialias=True)
        image = transforms.center_crop(image, [height, width]).clamp(0, 1)
    return from_bytes(to_bytes(image)) if has_8_bits else image


def to_bytes(image: Tensor) -> Tensor:
    """An image in [0, 1] as uint8."""
    return image.mul(255).round().to(torch.uint8)


def from_bytes(image: Tensor) -> Tensor:
    """A uint8 image as float32 in [0, 1], the same values as those of `zoo.Uint8Images`."""
    return image.float().div_(255)


def _resized(image: Tensor, height: int, width: int, resize: Resize) -> list[int]:
    """The size before the center is cropped."""
    if resize == "squash":
        return [height, width]
    scale = max(height / image.shape[-2], width / image.shape[-1])
    return [max(height, round(image.shape[-2] * scale)), max(width, round(image.shape[-1] * scale))]
