"""Autoregressive prediction of frames."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from zoo_plugins.unet.model import UNet


def roll_out(network: Any, past: Tensor, count: int, config: UNet.Config) -> Tensor:
    """The network's output for ``count`` frames after ``past``: (N, T, C, H, W) to (N, count, C, H, W).

    If one forward pass gives fewer than ``count`` frames, the next one takes the predicted frames as input.
    """
    num_passes = math.ceil(count / (config.out_channels // config.frame_channels))
    outputs: list[Tensor] = []
    for index in range(num_passes):
        if index:
            past = torch.cat([past, to_frames(outputs[-1], config)], dim=1)[:, -past.shape[1] :]  # (N, T, C, H, W)
        output = network(past.flatten(1, 2))  # (N, T C, H, W) to (N, T' C, H, W)
        outputs.append(output.unflatten(1, (-1, config.frame_channels)))  # (N, T', C, H, W)
    return torch.cat(outputs, dim=1)[:, :count] if num_passes > 1 else outputs[0][:, :count]


def to_frames(output: Tensor, config: UNet.Config) -> Tensor:
    """The frames of the network's output, which may be logits; frames are not clipped to [0, 1]."""
    return output.sigmoid() if config.output == "frame_logits" else output
