"""Whether the images in folders are frames of clips, which follow one another, or separate pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def are_sequences(folders: Sequence[Sequence[Path]]) -> bool:
    """Whether neighbors in the natural order of the files are more alike than others, in each folder of images."""
    long = [files[:_FRAMES] for files in folders if len(files) >= _FEWEST][:_FOLDERS]
    return bool(long) and all(_is_sequence(_all_small(files)) for files in long)


def _all_small(files: Sequence[Path]) -> Tensor:
    """The images (N, H, W), small; where no file says which value is white, the largest value of all is."""
    facts = zoo.check_images(files, clips=False)
    first = facts[0]
    channels = first.bands if first.channels == first.bands and first.bands != 3 else 1
    unsaid = all(one.dtype not in ("uint8", "uint16") for one in facts)
    white = max(1, math.ceil(max(one.highest for one in facts))) if unsaid else None
    return torch.stack([_small(file, channels, white) for file in files])


def _is_sequence(frames: Tensor) -> bool:
    """Whether the frames (N, H, W) follow one another."""
    near = (frames[1:] - frames[:-1]).abs().mean()
    half = len(frames) // 2
    far = (frames[half:] - frames[: len(frames) - half]).abs().mean()
    return bool(near < _FOLLOWS * far)


def _small(file: Path, channels: int, max_value: int | None) -> Tensor:
    image = zoo.read_image(file, channels, max_value, allow_dark=True)
    return F.adaptive_avg_pool2d(image, _SIZE).mean(dim=0)
