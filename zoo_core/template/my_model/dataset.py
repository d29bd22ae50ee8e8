"""Points on two interleaved spirals (Lang & Witbrock 1988)."""

from __future__ import annotations

from math import pi

import torch
import zoo_core as zoo
from torch import Tensor


class Spirals(zoo.InMemoryDataset):
    """Examples are ``{"point": (2,) in about [-1, 1], "label": 0 or 1}``."""

    class Config:
        points: int = zoo.setting(2000, "points in the train split; the test split has a quarter of that", ge=4)
        turns: float = zoo.setting(1.5, "turns of each spiral", gt=0)
        noise: float = zoo.setting(0.02, "standard deviation of the noise added to each point", ge=0)

    config: Config

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        return {
            "train": self._sample(self.config.points, seed=0),
            "test": self._sample(self.config.points // 4, seed=1),
        }

    def _sample(self, count: int, seed: int) -> dict[str, Tensor]:
        """Points (count, 2) and labels (count,), which depend on ``seed`` only."""
        generator = torch.Generator().manual_seed(seed)
        label = torch.arange(count) % 2
        radius = torch.rand(count, generator=generator).sqrt()
        angle = 2 * pi * self.config.turns * radius + pi * label
        point = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
        return {"point": point + self.config.noise * torch.randn(count, 2, generator=generator), "label": label}
