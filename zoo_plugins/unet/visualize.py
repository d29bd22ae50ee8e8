"""Visualization of segmentation masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

import zoo_core as zoo

_MIN_SIDE = 128  # pixels; smaller images are enlarged, so that the legend is readable
_ROWS = 64  # of an overlay that are computed at once, since images may be large
_GRAY = (128, 128, 128)


def class_names(config: Any) -> list[str]:
    """The names of the classes; a class without a name is called by its index."""
    names = getattr(config, "class_names", ())
    return [names[k] if k < len(names) else str(k) for k in range(config.out_channels)]


def side_by_side(image: Tensor, mask: Tensor, predicted: Tensor, names: list[str], ignore_index: int) -> Tensor:
    """Rows of image, ground truth and prediction, with a legend below: (1, 3, H, W) in [0, 1].

    ``image`` is (N, C, H, W) in [0, 1]; ``mask`` and ``predicted`` are (N, H, W). Ignored pixels are gray.
    """
    true_colors, predicted_colors = (colorize(classes.cpu(), len(names), ignore_index) for classes in (mask, predicted))
    rows = torch.stack([_rgb(image.cpu()), true_colors, predicted_colors], dim=1).flatten(0, 1)  # (3 N, 3, H, W)
    factor = max(1, round(_MIN_SIDE / max(rows.shape[-2:])))
    grid = make_grid(F.interpolate(rows, scale_factor=factor, mode="nearest"), nrow=3, pad_value=1.0)
    return torch.cat([grid, _legend(names, grid.shape[-1])], dim=1).unsqueeze(0)


def colorize(classes: Tensor, num_classes: int, ignore_index: int = -1) -> Tensor:
    """Class indices (N, H, W) to colors (N, 3, H, W) in [0, 1]."""
    colors = torch.tensor([*zoo.palette(num_classes), _GRAY]) / 255  # (num_classes + 1, 3)
    image = colors[classes.where(classes != ignore_index, num_classes)]  # (N, H, W, 3)
    return image.permute(0, 3, 1, 2)


def overlay(image: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """Image (C, H, W) in [0, 1], blended with the colors of ``classes`` (H, W) except class 0: (3, H, W) in [0, 1]."""
    colors = torch.tensor(zoo.palette(num_classes), dtype=torch.int16)  # (num_classes, 3)
    blended = torch.empty(3, *classes.shape)
    parts = (_rgb(image.unsqueeze(0))[0].split(_ROWS, dim=1), classes.split(_ROWS), blended.split(_ROWS, dim=1))
    for given, indices, result in zip(*parts, strict=True):
        pixels = given.mul(255).round().short()  # (3, rows, W)
        mixed = (pixels + colors[indices.int()].permute(2, 0, 1)) // 2
        torch.div(pixels.where(indices == 0, mixed), 255, out=result)
    return blended


def _rgb(image: Tensor) -> Tensor:
    """(N, C, H, W) to (N, 3, H, W); of 2 channels the first is used as gray."""
    return image[:, :3] if image.shape[1] >= 3 else image[:, :1].expand(-1, 3, -1, -1)


def _legend(names: list[str], width: int) -> Tensor:
    """(3, H, width): each name after a square of its color, wrapped to the width."""
    font = ImageFont.load_default()
    line_height, square = 16, 10
    positions, x, y = [], 4, 3
    for name in names:
        length = square + 4 + round(font.getlength(name)) + 10
        if x + length > width and x > 4:
            x, y = 4, y + line_height
        positions.append((x, y))
        x += length
    legend = Image.new("RGB", (width, y + line_height), "white")
    draw = ImageDraw.Draw(legend)
    for name, (x, y), color in zip(names, positions, zoo.palette(len(names)), strict=True):
        draw.rectangle((x, y, x + square, y + square), fill=color, outline="black")
        draw.text((x + square + 4, y - 1), name, fill="black", font=font)
    return torch.from_numpy(np.asarray(legend).copy()).permute(2, 0, 1).float() / 255  # (H, W, 3) to (3, H, W)
