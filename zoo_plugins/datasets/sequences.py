"""Whether the images in folders are frames of clips, which follow one another, or separate pictures."""

from __future__ import annotations

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
    long = [files for files in folders if len(files) >= _FEWEST][:_FOLDERS]
    return bool(long) and all(_is_sequence(files[:_FRAMES]) for files in long)


def _is_sequence(files: Sequence[Path]) -> bool:
    frames = torch.stack([_small(file) for file in files])  # (N, H, W)
    near = (frames[1:] - frames[:-1]).abs().mean()
    half = len(files) // 2
    far = (frames[half:] - frames[: len(files) - half]).abs().mean()
    return bool(near < _FOLLOWS * far)


def _small(file: Path) -> Tensor:
    return F.adaptive_avg_pool2d(zoo.read_image(file, 1, 65535), _SIZE)[0]
