"""Geometric transforms of batches of images."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def affine(image: Tensor, angle: Tensor, scale: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
    """Images (N, C, H, W), each transformed with its own parameters (N,), with bilinear sampling and zero padding.

    ``angle`` is in radians. The sampling grid is multiplied by ``scale`` about the center, so that a ``scale`` above 1
    shrinks the image, and is shifted by ``shift_x`` half widths and ``shift_y`` half heights.
    """
    height, width = image.shape[-2:]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    # affine_grid normalizes x by half the width and y by half the height, so a rotation of an image that is not square
    # needs the aspect ratio in its off-diagonal terms.
    rows = [
        torch.stack([cosine, -sine * (height / width), shift_x], dim=1),  # (N, 3)
        torch.stack([sine * (width / height), cosine, shift_y], dim=1),  # (N, 3)
    ]
    if image.device.type == "cpu":
        theta = torch.stack(rows, dim=1)  # (N, 2, 3)
        grid = F.affine_grid(theta, list(image.shape), align_corners=False)  # (N, H, W, 2)
    else:  # affine_grid is a matrix product, which in TF32 rounds positions to some hundredths of a pixel
        grid = affine_grid(rows, height, width)
    if torch.are_deterministic_algorithms_enabled():
        return DeterministicSample.apply(image, grid)  # type: ignore[no-any-return]
    return F.grid_sample(image, grid, align_corners=False)


def affine_grid(rows: list[Tensor], height: int, width: int) -> Tensor:
    """``F.affine_grid`` of the ``rows`` of theta, each (N, 3), without a matrix product: (N, H, W, 2)."""
    x = _centers(width, rows[0])  # (W,)
    y = _centers(height, rows[0]).unsqueeze(1)  # (H, 1)
    return torch.stack([a * x + b * y + c for a, b, c in (row[:, :, None, None].unbind(1) for row in rows)], dim=-1)


def _centers(size: int, like: Tensor) -> Tensor:
    """The centers of ``size`` pixels in [-1, 1]."""
    return (torch.arange(size, dtype=like.dtype, device=like.device) * 2 + 1) / size - 1


class DeterministicSample(torch.autograd.Function):
    """``F.grid_sample(image, grid, align_corners=False)`` with a deterministic gradient, of ``image`` only.

    PyTorch's adds the gradients of all samples in any order on CUDA. Here it is a matrix product for each image: the
    bilinear weight of a pixel is that of its row times that of its column. It needs memory for (N, C, H W, H) values.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size = image.shape[-2:]
        return F.grid_sample(image, grid, align_corners=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (grid,), (height, width) = ctx.saved_tensors, ctx.size
        rows, columns = _weights(grid[..., 1], height), _weights(grid[..., 0], width)  # (N, P, H), (N, P, W)
        weighted = gradients[0].flatten(2).unsqueeze(3) * rows.unsqueeze(1)  # (N, C, P, H)
        return weighted.mT @ columns.unsqueeze(1), None  # (N, C, H, W)


def _weights(position: Tensor, size: int) -> Tensor:
    """Linear weights (N, P, size) of ``size`` pixels at the positions (N, ...) in [-1, 1], P for each example."""
    pixel = position.flatten(1) * (size / 2) + (size - 1) / 2  # (N, P)
    distance = pixel.unsqueeze(2) - torch.arange(size, dtype=pixel.dtype, device=pixel.device)  # (N, P, size)
    return (1 - distance.abs()).relu()
