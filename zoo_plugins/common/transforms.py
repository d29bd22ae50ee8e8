"""Pictures turned, scaled and moved."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def transformed(image: Tensor, angle: Tensor, scale: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """The pictures (N, C, H, W), each by its own numbers (N,): turned by ``angle`` (radians) and shrunk by ``scale``
    about the middle, moved ``across`` half widths and ``down`` half heights. Zeros come in from outside."""
    height, width = image.shape[-2:]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    # Where a pixel comes from is counted in half heights and half widths, of which a turn knows nothing.
    rows = [
        torch.stack([cosine, -sine * (height / width), across], dim=1),
        torch.stack([sine * (width / height), cosine, down], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(image.shape), align_corners=False)  # (N, H, W, 2)
    return F.grid_sample(image, grid, align_corners=False)
