"""Bilinear upsampling with a deterministic gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample_twice(tensor: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2 H, 2 W), with bilinear interpolation between the centers of the corner pixels."""
    if torch.are_deterministic_algorithms_enabled():
        return DeterministicUpsample.apply(tensor)  # type: ignore[no-any-return]
    return F.interpolate(tensor, scale_factor=2, mode="bilinear", align_corners=True)


class DeterministicUpsample(torch.autograd.Function):
    """Bilinear upsampling by a factor of 2, whose gradient is two matrix products.

    PyTorch's gradient adds in any order on CUDA; with deterministic algorithms ``F.interpolate`` replaces it by many
    indexed reads, whose gradient sorts all indices.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        height, width = tensor.shape[-2:]
        return torch.ops.aten.upsample_bilinear2d(tensor, [2 * height, 2 * width], True)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].permute(0, 2, 3, 1)  # (N, 2 H, 2 W, C), contiguous if the network is channels-last
        count, height, width, channels = gradient.shape
        rows = _matrix(width, gradient).expand(count * height, -1, -1) @ gradient.flatten(0, 1)  # (N 2 H, W, C)
        rows = rows.view(count, height, -1)  # (N, 2 H, W C)
        result = _matrix(height, gradient).expand(count, -1, -1) @ rows  # (N, H, W C)
        return result.view(count, height // 2, width // 2, channels).permute(0, 3, 1, 2)  # (N, C, H, W)


def _matrix(size: int, like: Tensor) -> Tensor:
    """The transposed matrix (size / 2, size) of linear upsampling: what it makes of the unit vectors."""
    units = torch.eye(size // 2, dtype=like.dtype, device=like.device).unsqueeze(0)  # (1, size / 2, size / 2)
    return F.interpolate(units, size=size, mode="linear", align_corners=True)[0]
