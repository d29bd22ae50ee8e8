"""Geometric transforms of batches of images."""

from __future__ import annotations

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
    theta = torch.stack(rows, dim=1)  # (N, 2, 3)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)  # (N, H, W, 2)
    return F.grid_sample(image, grid, align_corners=False)
