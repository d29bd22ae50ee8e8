"""Random transforms of clips: all frames of a window alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype

from zoo_plugins.common.augmentation import random_corner

ClipPreset = Literal["none", "mirror", "flips"]
_MOVING = 1 / 2  # of the crops contain a pixel that changes
_MANY = 64  # pixels among which one that changes is looked for


@dataclass(frozen=True)
class RandomClipTransform:
    """Crops and flips the frames (T, C, H, W) of a window, by draws from the global generator of torch.

    The frames may be bytes.

    A crop has ``height`` x ``width`` pixels, if they are not 0. Half of the crops contain a pixel that changes within
    the window, since large parts of many clips stand still. Smaller frames are padded by their border. ``mirror`` flips
    horizontally, and ``flips`` vertically, too.
    """

    preset: ClipPreset
    height: int
    width: int

    def __call__(self, frames: Tensor) -> Tensor:
        frames = self._cropped(frames)
        for axis, presets in ((-1, ("mirror", "flips")), (-2, ("flips",))):
            if self.preset in presets and torch.rand(()) < 0.5:
                frames = frames.flip(axis)
        return frames.contiguous()

    def _cropped(self, frames: Tensor) -> Tensor:
        height, width = self.height or frames.shape[-2], self.width or frames.shape[-1]
        missing = max(0, height - frames.shape[-2]), max(0, width - frames.shape[-1])
        if any(missing):
            frames = F.pad(in_unit_range(frames), (0, missing[1], 0, missing[0]), mode="replicate")
        top, left = self._corner(frames, height, width)
        return frames[..., top : top + height, left : left + width]

    def _corner(self, frames: Tensor, height: int, width: int) -> tuple[int, int]:
        space = frames.shape[-2] - height, frames.shape[-1] - width
        center = _pixel_that_changes(frames) if any(space) and torch.rand(()) < _MOVING else None
        return random_corner((height, width), space, center)


def in_unit_range(frames: Tensor) -> Tensor:
    """Frames in [0, 1], which may be bytes."""
    return to_dtype(frames, torch.float32, scale=True) if frames.dtype == torch.uint8 else frames


def _pixel_that_changes(frames: Tensor) -> tuple[int, int] | None:
    """Of some random pixels, the one whose first and last values differ the most; None if all stay as they are."""
    rows = torch.randint(frames.shape[-2], (_MANY,))
    columns = torch.randint(frames.shape[-1], (_MANY,))
    last, first = (in_unit_range(frames[number][:, rows, columns]) for number in (-1, 0))
    change = (last - first).abs().sum(dim=0)  # (_MANY,)
    most = int(change.argmax())
    return (int(rows[most]), int(columns[most])) if change[most] > 0 else None
