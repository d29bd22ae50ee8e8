"""Windows of clips, which are read from the files on access or kept in memory, and how clips are divided in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.common.clip_transforms import RandomClipTransform, in_unit_range
from zoo_plugins.datasets.clip_layouts import Clip

_AT_ONCE = 8  # frames that are read together
_KEPT = dict[tuple[Path, int | None], Tensor]


@dataclass(frozen=True)
class Reading:
    """How frames are read and resized; ``kept`` has the frames of clips that are in memory."""

    channels: int
    max_value: int | None
    height: int
    width: int
    kept: Mapping[tuple[Path, int | None], Tensor]

    def __call__(self, clip: Clip, start: int, stop: int) -> Tensor:
        """Frames (T, C, H, W) in [0, 1]; bytes if they are in memory and keep their size."""
        if (frames := self.kept.get((clip.path, clip.index))) is not None:
            return self._resized(frames[start:stop])
        found = zoo.read_frames(clip.path, self.channels, start, stop, self.max_value, clip.index, allow_dark=True)
        return self._resized(found)

    def _resized(self, frames: Tensor) -> Tensor:
        size = (self.height or frames.shape[-2], self.width or frames.shape[-1])
        if size == tuple(frames.shape[-2:]):
            return frames
        return F.interpolate(in_unit_range(frames), size, mode="bilinear", antialias=True).clamp(0, 1)


class Windows:
    """Windows of ``clips`` that start ``stride`` frames apart; ``most`` of them, evenly spaced, if it is not 0."""

    def __init__(
        self,
        clips: Sequence[Clip],
        frames: tuple[int, int],
        stride: int,
        reading: Reading,
        transform: RandomClipTransform | None = None,
        most: int = 0,
    ) -> None:
        self.frames_in, self.length = frames[0], sum(frames)
        self.reading, self.transform = reading, transform
        starts = [
            (clip, start)
            for clip in clips
            for start in range(clip.first, clip.first + clip.length - self.length + 1, stride)
        ]
        if 0 < most < len(starts):
            starts = [starts[index * len(starts) // most] for index in range(most)]
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        clip, start = self.starts[index]
        frames = self.reading(clip, start, start + self.length)  # (frames_in + frames_out, C, H, W)
        if self.transform is not None:
            frames = self.transform(frames)
        frames = in_unit_range(frames)
        return {"past": frames[: self.frames_in], "future": frames[self.frames_in :]}


def divided(
    clips: Sequence[Clip], window: int, validation_fraction: float, test_fraction: float
) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """The beginning of each clip for training, the end for the test, and what is between for validation.

    No frame is in two parts. Each part has at least a window; a clip that is too short for that is for training. A
    fraction of 0 leaves a part out.
    """
    train: list[Clip] = []
    validation: list[Clip] = []
    test: list[Clip] = []
    for clip in clips:
        sizes = [
            max(window, round(fraction * clip.length)) if fraction else 0
            for fraction in (validation_fraction, test_fraction)
        ]
        first = clip.length - sum(sizes)
        if first < window:
            train.append(clip)
            continue
        train.append(replace(clip, length=first))
        for part, start, size in ((validation, first, sizes[0]), (test, first + sizes[0], sizes[1])):
            part += [replace(clip, first=clip.first + start, length=size)] if size else []
    return train, validation, test


def kept_in_memory(clips: Sequence[Clip], channels: int, max_value: int | None, most: int) -> _KEPT:
    """The frames (T, C, H, W) of all clips, as bytes where that loses nothing; none if they need more than ``most``.

    They begin with the first frame of the folder or file, wherever a clip begins in it.
    """
    stops = [clip.first + clip.length for clip in clips]
    if sum(stop * clip.size[0] * clip.size[1] * channels for clip, stop in zip(clips, stops, strict=True)) > most:
        return {}
    kept: _KEPT = {}
    for clip, stop in zip(clips, stops, strict=True):
        parts = []
        for start in range(0, stop, _AT_ONCE):  # as floats they need four times the memory
            last = min(start + _AT_ONCE, stop)
            frames = zoo.read_frames(clip.path, channels, start, last, max_value, clip.index, allow_dark=True)
            as_bytes = frames.mul(255).round().byte()
            if not torch.equal(in_unit_range(as_bytes), frames):
                return {}  # of more than 8 bits
            parts.append(as_bytes)
        kept[clip.path, clip.index] = torch.cat(parts)
    return kept
