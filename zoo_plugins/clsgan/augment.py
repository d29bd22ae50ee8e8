"""Adaptive discriminator augmentation (Karras et al. 2020, section 3) with rotation, scaling and translation.

Real and generated images are augmented with the same probability p before the discriminator sees them. p is adapted
while the discriminator overfits, with two differences from the paper:

- Overfitting is measured by the discriminator's loss on real images, which ``ada_target`` is compared with. The paper
  uses r_t = E[sign(D(x_real))], derived from the fraction of real images with a positive output; a least-squares
  discriminator has no such decision threshold. So a *lower* value than the target means overfitting here, and a
  *higher* one in the paper.
- One draw per image decides whether all transforms are applied; in the paper every transform has its own draw.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_plugins.common.transforms import affine

MAX_AUGMENT_P = 0.8  # above it augmentations leak into the generated images (Karras et al. 2020, section 2)
UPDATE_INTERVAL = 16  # steps
_UPDATE_STEP = 1 / 100  # change of p at each update
_MAX_ROTATION, _MAX_SCALING, _MAX_SHIFT = 10.0, 0.1, 2 / 28  # degrees, fraction, fraction; in both directions


def augment(image: Tensor, p: Tensor | float) -> Tensor:
    """Images (N, C, H, W), each randomly rotated, scaled and translated with probability ``p``."""
    count, (height, width) = len(image), image.shape[-2:]
    draws = torch.rand(5, count, device=image.device)  # rows: selection, rotation, scaling, shift in x, shift in y
    selected, draws = (draws[0] < p).float(), 2 * draws[1:] - 1  # (N,), (4, N) in [-1, 1)
    angle, scale = selected * draws[0] * torch.pi * _MAX_ROTATION / 180, 1 + selected * draws[1] * _MAX_SCALING
    shift_x = selected * draws[2] * 2 * (_MAX_SHIFT * width) / width  # in half widths
    shift_y = selected * draws[3] * 2 * (_MAX_SHIFT * height) / height  # in half heights
    return affine(image, angle, scale, shift_x, shift_y)


def update_augment_p(p: Tensor, real_loss: Tensor, target: float) -> None:
    """Make the augmentation probability ``p`` higher if ``real_loss`` is below ``target``, and lower otherwise."""
    p.add_(2 * (real_loss < target).to(p.dtype) - 1, alpha=_UPDATE_STEP).clamp_(0, MAX_AUGMENT_P)
