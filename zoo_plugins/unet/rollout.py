"""Frames out of frames, in one pass of the network or in several."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from zoo_plugins.unet.model import UNet


def roll_out(network: Any, past: Tensor, count: int, config: UNet.Config) -> Tensor:
    """``count`` frames after ``past``, as the network gives them: (N, T, C, H, W) to (N, count, C, H, W).

    Where one pass gives fewer, the next one starts from the frames of the last.
    """
    passes = math.ceil(count / (config.out_channels // config.frame_channels))
    outputs: list[Tensor] = []
    for number in range(passes):
        if number:
            past = torch.cat([past, frames_of(outputs[-1], config)], dim=1)[:, -past.shape[1] :]
        outputs.append(network(past.flatten(1, 2)).unflatten(1, (-1, config.frame_channels)))
    return torch.cat(outputs, dim=1)[:, :count] if passes > 1 else outputs[0][:, :count]


def frames_of(output: Tensor, config: UNet.Config) -> Tensor:
    """The frames that the network's output stands for; not clipped to [0, 1] unless it is made of logits."""
    return output.sigmoid() if config.output == "frame_logits" else output
