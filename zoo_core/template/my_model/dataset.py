"""Points on two interleaved spirals (Lang & Witbrock 1988)."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
import zoo_core as zoo


class Spirals(zoo.Dataset):
    """Examples are ``{"point": (2,) in about [-1, 1], "label": 0 or 1}``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        points: int = zoo.setting(2000, "points to train on; a quarter as many to measure on", ge=4)
        turns: float = zoo.setting(1.5, "how often a spiral goes round", gt=0)
        noise: float = zoo.setting(0.02, "standard deviation of a point from its spiral", ge=0)

    config: Config

    def train(self) -> zoo.InMemory:
        return self._drawn(self.config.points, seed=0)

    def test(self) -> zoo.InMemory:
        return self._drawn(self.config.points // 4, seed=1)

    def _drawn(self, count: int, seed: int) -> zoo.InMemory:
        """The same points every time: whatever is random comes from a generator of its own."""
        generator = torch.Generator().manual_seed(seed)
        label = torch.arange(count) % 2
        radius = torch.rand(count, generator=generator).sqrt()
        angle = 2 * pi * self.config.turns * radius + pi * label
        point = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
        return zoo.InMemory(
            point=point + self.config.noise * torch.randn(count, 2, generator=generator),
            label=label,
        )
