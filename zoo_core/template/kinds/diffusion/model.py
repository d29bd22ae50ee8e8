"""A denoising diffusion model of small images (Ho et al. 2020), which samples as Song et al. 2021 (DDIM)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import pi
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor, nn


def add_noise(image: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Images in [-1, 1] with as much noise as at ``time`` (N,), from 0, none, to 1, all (Nichol & Dhariwal 2021)."""
    angle = (time * pi / 2)[:, None, None, None]
    return angle.cos() * image + angle.sin() * noise


class MyModel(zoo.Model):
    """Noisy images (N, 1, 16, 16) and times (N,) in [0, 1] to the noise in them (N, 1, 16, 16)."""

    class Config:
        width: int = zoo.setting(16, "channels at full resolution; half the resolution has twice as many", ge=1)

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"image": "(N, 1, 16, 16) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        width = config.width
        self.embed = nn.Sequential(nn.Linear(8, 2 * width), nn.SiLU(), nn.Linear(2 * width, 2 * width))
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.middle = nn.Sequential(
            nn.GroupNorm(1, 2 * width),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.GroupNorm(1, 2 * width),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        )
        self.up = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.last = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, image: Tensor, time: Tensor) -> Tensor:
        """(N, 1, 16, 16) and (N,) to (N, 1, 16, 16)."""
        angle = time[:, None] * pi / 2 * torch.tensor([1.0, 2.0, 4.0, 8.0], device=time.device)
        embedded = self.embed(torch.cat([angle.sin(), angle.cos()], dim=1))[:, :, None, None]
        full = F.silu(self.first(image))
        half = self.down(full) + embedded
        half = half + self.middle(half)
        noise: Tensor = self.last(torch.cat([full, F.silu(self.up(F.silu(half)))], dim=1))
        return noise

    @torch.no_grad()
    def predict(self, count: int = 16, steps: int = 50, seed: int = 0) -> dict[str, Any]:
        """Generate images in ``steps`` steps: ``{"image": (count, 1, 16, 16) in [0, 1]}``, which depend on ``seed``."""
        device = next(self.parameters()).device
        image = torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed)).to(device)
        times = torch.linspace(0.98, 0, steps + 1, device=device)  # at 1 there is nothing left of the image
        for time, next_time in pairwise(times):
            noise = self(image, time.expand(count))
            clean = (image - (time * pi / 2).sin() * noise) / (time * pi / 2).cos()
            image = add_noise(clean.clamp(-1, 1), noise, next_time.expand(count))
        return {"image": ((image + 1) / 2).clamp(0, 1).cpu()}

    def example(self) -> dict[str, Any]:
        return {"count": 2, "steps": 4, "seed": 1}
