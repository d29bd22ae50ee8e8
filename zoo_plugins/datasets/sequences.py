"""Whether the images in folders are frames of clips, which follow one another, or separate pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo

_FOLDERS = 4  # that are looked at
_FRAMES = 16  # of each
_FEWEST = 6
_SIZE = (32, 32)
_FOLLOWS = 0.6  # of the difference between distant frames is that between neighbors, at most


def are_sequences(folders: Sequence[Sequence[Path]], reading: Mapping[str, int] | None = None) -> bool:
    """Whether neighbors in the natural order of the files are more alike than others, in each folder of images.

    ``reading`` may contain the ``channels`` of the images and their ``max_value``.
    """
    long = [files for files in folders if len(files) >= _FEWEST][:_FOLDERS]
    channels, max_value = (reading or {}).get("channels", 1), (reading or {}).get("max_value")
    small = partial(_small, channels=channels, max_value=max_value)
    return bool(long) and all(_is_sequence(torch.stack([*map(small, files[:_FRAMES])])) for files in long)


def _is_sequence(frames: Tensor) -> bool:
    """Whether the frames (N, H, W) follow one another."""
    near = (frames[1:] - frames[:-1]).abs().mean()
    half = len(frames) // 2
    far = (frames[half:] - frames[: len(frames) - half]).abs().mean()
    return bool(near < _FOLLOWS * far)


def _small(file: Path, channels: int = 1, max_value: int | None = None) -> Tensor:
    image = zoo.read_image(file, channels, max_value, allow_dark=True)
    return F.adaptive_avg_pool2d(image, _SIZE).mean(dim=0)
