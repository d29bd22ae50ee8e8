"""The U-Net and the batch that ``zoo fit`` plans for crops of a size, by the memory and the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import zoo_core as zoo

_NARROWEST = 8  # channels of the first stage
_LOADED = 700 * 2**20  # bytes of the process on a CPU before the first step
_BYTES = 250  # for each channel of the first stage and pixel of a crop, at its resolution, in a training step
_COARSEST = 8  # pixels, at least, at the lowest resolution
_DEEPEST = 4
_PATCHED = 128  # pixels of the side of a crop from which on a CPU sees it in patches
_LONG = 10  # minutes from which on a CPU a wider network learns more in the time, although its steps take twice as long


@dataclass(frozen=True)
class Network:
    """Settings of the U-Net, and the examples of a batch, with the reasons."""

    settings: Mapping[str, int]
    batch_size: int
    reason: str
    batch_reason: str = ""


def choose_network(crop: tuple[int, int], budget: zoo.Budget, examples: int) -> Network:
    """The usual network and batch of the device, or a smaller batch, and then fewer channels, where memory is short.

    On a CPU, a short training has a narrower network. A batch has at most as many images as there are for training.
    """
    on_cpu = budget.device == "cpu"
    patch = 2 if on_cpu and min(crop) >= _PATCHED else 1
    channels, batch = (16 if budget.minutes < _LONG else 32, 4) if on_cpu else (32, 16)
    widest = channels
    pixels = crop[0] * crop[1] / patch**2
    memory = budget.memory - (_LOADED if on_cpu else 0)
    fitting = max(1, int(memory / (_BYTES * pixels * channels)))
    while fitting < min(2, batch) and channels > _NARROWEST:
        channels //= 2
        fitting = max(1, int(memory / (_BYTES * pixels * channels)))
    usual = f"for a training on {budget.device}"
    width = f"{usual} of {budget.minutes:g} minutes" if on_cpu else usual
    less = f"for a memory of {budget.memory / 2**30:.1f} GiB"
    depth = min(_DEEPEST, max(1, int(math.log2(min(crop) / patch / _COARSEST))))
    chosen = min(batch, 2 ** int(math.log2(fitting)))
    return Network(
        {"base_channels": channels, "depth": depth, **({"patch": patch} if patch > 1 else {})},
        min(chosen, examples),
        width if channels == widest else less,
        "all training images" if examples < chosen else usual if fitting >= batch else less,
    )
