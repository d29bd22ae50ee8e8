"""Segmentation of images of any size in tiles, so that the memory does not grow with the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_plugins.common.image_size import target_size
from zoo_plugins.unet.preprocessing import resized

OVERLAP = 0.25
"""Of neighboring tiles, as a fraction of their sides."""
_SIGMA = 1 / 8  # of the side of a tile, as in nnU-Net (Isensee et al. 2021)
_ROWS = 64  # of the output that are divided or scaled at once


def segment(model: Any, image: Tensor, overlap: float = OVERLAP) -> Tensor:
    """The class indices (H, W) of an image (C, H, W), on its device.

    ``model`` maps (1, C, H, W) to logits (1, K, H, W). If it has the setting ``tile``, an image that is larger is
    segmented in tiles, at the scale of the setting ``image_size``.
    """
    if not is_tiled(model, image):
        classes: Tensor = model(image.unsqueeze(0))[0].argmax(dim=0)
        return classes
    size = target_size(getattr(model.config, "image_size", ()), *image.shape[-2:])
    scaled = resized(image.unsqueeze(0), size)[0]
    bands = tiled_logits(getattr(model, "at_its_size", model), scaled, model.config.tile, overlap)
    if scaled.shape != image.shape:
        bands = _upscaled(torch.cat(list(bands), dim=1), image.shape[-2:])
    return torch.cat([band.argmax(dim=0).short() for band in bands])  # int64 would be as large as the image


def is_tiled(model: Any, image: Tensor) -> bool:
    """Whether an image (…, H, W) is segmented in tiles: it is larger than one, at the scale of the model."""
    tile: Sequence[int] = getattr(model.config, "tile", ())
    size = target_size(getattr(model.config, "image_size", ()), *image.shape[-2:])
    return bool(tile) and (size[0] > tile[0] or size[1] > tile[1])


def tiled_logits(
    network: Callable[[Tensor], Tensor], image: Tensor, tile: Sequence[int], overlap: float = OVERLAP
) -> Iterator[Tensor]:
    """The logits of an image (C, H, W) from top to bottom, as bands (K, rows, W).

    The network sees one tile at a time. Where tiles overlap, their logits are averaged, with the weights of a Gaussian
    around the center of each. Only one row of tiles is in memory.
    """
    height, width = image.shape[-2:]
    tile_height, tile_width = min(tile[0], height), min(tile[1], width)
    weight = _gaussian(tile_height, image)[:, None] * _gaussian(tile_width, image)  # (tile_height, tile_width)
    tops, lefts = _starts(height, tile_height, overlap), _starts(width, tile_width, overlap)
    total = weight.new_zeros(0)
    for top, after in zip(tops, [*tops[1:], height], strict=True):
        for left in lefts:
            logits = network(image[None, :, top : top + tile_height, left : left + tile_width])[0].float()
            if not len(total):  # the last channel adds up the weights
                total = weight.new_zeros(len(logits) + 1, tile_height, width)
            total[:-1, :, left : left + tile_width] += logits * weight
            total[-1, :, left : left + tile_width] += weight
        finished = after - top
        for rows in total[:, :finished].split(_ROWS, dim=1):
            yield rows[:-1] / rows[-1]
        rest = total[:, finished:].clone()  # the next row of tiles begins here
        total.zero_()
        total[:, : tile_height - finished] = rest


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where the tiles of one axis begin: evenly, and so that they overlap by ``overlap`` at least."""
    steps = math.ceil((length - tile) / max(1, tile * (1 - overlap)))
    return [round(number * (length - tile) / steps) for number in range(steps + 1)] if steps else [0]


def _gaussian(length: int, like: Tensor) -> Tensor:
    """Weights (length,) of the pixels of a tile along one axis."""
    distance = (torch.arange(length, device=like.device) - (length - 1) / 2) / (_SIGMA * length)
    return torch.exp(-distance.square() / 2)


def _upscaled(logits: Tensor, size: Sequence[int]) -> Iterator[Tensor]:
    """(K, h, w) in another size by linear interpolation, as bands (K, rows, W) from top to bottom."""
    rows = torch.arange(size[0], device=logits.device)
    places = ((rows + 0.5) * (logits.shape[1] / size[0]) - 0.5).clamp(0, logits.shape[1] - 1)
    for band in places.split(_ROWS):
        above = band.long()
        below = (above + 1).clamp(max=logits.shape[1] - 1)
        fraction = (band - above).view(1, -1, 1)
        mixed = logits[:, above] * (1 - fraction) + logits[:, below] * fraction  # (K, rows, w)
        yield F.interpolate(mixed[None], size=(len(band), size[1]), mode="bilinear")[0]
