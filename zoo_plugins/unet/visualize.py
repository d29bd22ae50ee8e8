"""Classes of pixels in color, for people."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import draw_segmentation_masks, make_grid

import zoo_core as zoo

_LEAST_SIDE = 128  # pictures are enlarged to about so many pixels, that a legend beside them can be read
_GREY = (128, 128, 128)


def class_names(config: Any) -> list[str]:
    """The classes' names by number; a number where there is no name."""
    names = getattr(config, "class_names", ())
    return [names[k] if k < len(names) else str(k) for k in range(config.out_channels)]


def side_by_side(image: Tensor, mask: Tensor, predicted: Tensor, names: list[str], ignore_index: int) -> Tensor:
    """Rows of image, truth and prediction, with a legend below: (1, 3, H, W) in [0, 1].

    ``image`` is (N, C, H, W) in [0, 1]; ``mask`` and ``predicted`` are (N, H, W). What is ignored is gray.
    """
    true, found = (colored(classes.cpu(), len(names), ignore_index) for classes in (mask, predicted))
    rows = torch.stack([_rgb(image.cpu()), true, found], dim=1).flatten(0, 1)  # (3 N, 3, H, W)
    factor = max(1, round(_LEAST_SIDE / max(rows.shape[-2:])))
    grid = make_grid(F.interpolate(rows, scale_factor=factor, mode="nearest"), nrow=3, pad_value=1.0)
    return torch.cat([grid, _legend(names, grid.shape[-1])], dim=1).unsqueeze(0)


def colored(classes: Tensor, count: int, ignore_index: int = -1) -> Tensor:
    """(N, H, W) numbers of classes to (N, 3, H, W) colors in [0, 1]."""
    colors = torch.tensor([*zoo.palette(count), _GREY]) / 255
    return colors[classes.where(classes != ignore_index, count)].permute(0, 3, 1, 2)


def overlay(image: Tensor, classes: Tensor, count: int) -> Tensor:
    """The picture (C, H, W) in [0, 1] with its classes (H, W) but the first laid over it: (3, H, W) in [0, 1]."""
    masks = torch.stack([classes == number for number in range(1, count)])
    bytes_ = _rgb(image.unsqueeze(0))[0].mul(255).round().byte()
    drawn: Tensor = draw_segmentation_masks(bytes_, masks, alpha=0.5, colors=zoo.palette(count)[1:])
    return drawn.float() / 255


def _rgb(image: Tensor) -> Tensor:
    return image[:, :3] if image.shape[1] >= 3 else image[:, :1].expand(-1, 3, -1, -1)


def _legend(names: list[str], width: int) -> Tensor:
    """(3, H, width): a square of its color before each name, in as many lines as it takes."""
    font = ImageFont.load_default()
    line, square = 16, 10
    places, x, y = [], 4, 3
    for name in names:
        length = square + 4 + round(font.getlength(name)) + 10
        if x + length > width and x > 4:
            x, y = 4, y + line
        places.append((x, y))
        x += length
    picture = Image.new("RGB", (width, y + line), "white")
    draw = ImageDraw.Draw(picture)
    for name, (x, y), color in zip(names, places, zoo.palette(len(names)), strict=True):
        draw.rectangle((x, y, x + square, y + square), fill=color, outline="black")
        draw.text((x + square + 4, y - 1), name, fill="black", font=font)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float() / 255
