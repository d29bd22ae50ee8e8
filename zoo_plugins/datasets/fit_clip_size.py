"""The size of frames and the batch that ``zoo fit`` plans for clips, by the memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import zoo_core as zoo
from zoo_plugins.datasets.fit_sizes import rounded

_LOADED = 800 * 2**20  # bytes of the process on a CPU before the first step, with what the evaluation imports
_SSIM = 200 * 2**20  # bytes of the metrics of frames
_COPIES = 10  # of each frame of a window as floats, in an evaluation at the whole size
_MULTIPLE = 32
_SMALLEST = 64  # side of the frames, in pixels


def fit_batch(size: tuple[int, int], channels: int, dataset: Mapping[str, Any], budget: zoo.Budget) -> int:
    """How many windows an evaluation may have at once, at least 1; training has crops, and needs less."""
    return max(1, int(_room(budget) / _window(size, channels, dataset)))


def fit_frames(size: tuple[int, int], channels: int, dataset: Mapping[str, Any], budget: zoo.Budget) -> dict[str, int]:
    """Height and width to which frames are resized, so that the memory is sufficient for a window; {} if it is."""
    room = _room(budget)
    factor = math.sqrt(max(0, room) / _window(size, channels, dataset))
    if factor >= 1 or room <= 0:  # then no size is small enough, of which the trial says more
        return {}
    height, width = (max(min(_SMALLEST, side), rounded(side * factor, _MULTIPLE)) for side in size)
    return {"height": height, "width": width} if (height, width) < size else {}


def _room(budget: zoo.Budget) -> int:
    return budget.memory - _SSIM - (_LOADED if budget.device == "cpu" else 0)


def _window(size: tuple[int, int], channels: int, dataset: Mapping[str, Any]) -> int:
    """Bytes of a window in an evaluation."""
    frames = int(dataset["frames_in"]) + int(dataset["frames_out"])
    return max(1, 4 * _COPIES * frames * channels * size[0] * size[1])
