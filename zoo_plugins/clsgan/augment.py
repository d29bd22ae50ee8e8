"""Pictures moved a little before the discriminator sees them, so that it cannot learn a small data set by heart.

After Karras et al. 2020 (adaptive discriminator augmentation): real and generated pictures are moved alike, and only as
large a share of them as it takes to keep the discriminator from telling them apart too well.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_plugins.common.transforms import transformed

MOST = 0.8  # the share from which, in the paper, the generator begins to draw what augmentation does
EVERY = 16  # steps between two looks at how well it tells them apart
_CHANGE = 1 / 100  # of the share, at each look
_ANGLE, _SCALE, _SHIFT = 10.0, 0.1, 2.0  # degrees, share, pixels: at most, either way


def augment(image: Tensor, share: float) -> Tensor:
    """Of the pictures (N, 1, H, W) about ``share`` turned, scaled and shifted, each differently."""
    if share <= 0:
        return image
    count, side = len(image), image.shape[-1]
    draws = torch.rand(5, count, device=image.device)
    chosen, draws = (draws[0] < share).float(), 2 * draws[1:] - 1
    angle, scale = chosen * draws[0] * torch.pi * _ANGLE / 180, 1 + chosen * draws[1] * _SCALE
    across, down = chosen * draws[2:] * 2 * _SHIFT / side
    return transformed(image, angle, scale, across, down)


def update_augment_p(share: float, real_loss: float, target: float) -> float:
    """The share from here on: more where the discriminator's loss on real pictures is below ``target``, else less."""
    return min(max(share + (_CHANGE if real_loss < target else -_CHANGE), 0.0), MOST)
