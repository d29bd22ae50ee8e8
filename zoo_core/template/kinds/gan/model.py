"""A generator of small images."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

import torch
import zoo_core as zoo
from torch import Tensor, nn

_SHAPE = (1, 16, 16)  # of an image


class MyModel(zoo.Model):
    """The generator: latent vectors (N, latent_dim), normally distributed, to images (N, 1, 16, 16) in [0, 1]."""

    class Config:
        latent_dim: int = zoo.setting(16, "dimension of a latent vector", ge=1)
        width: int = zoo.setting(128, "units in each hidden layer", ge=1)

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"image": "(N, 1, 16, 16) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(
            nn.Linear(config.latent_dim, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, prod(_SHAPE)),
            nn.Sigmoid(),
            nn.Unflatten(1, _SHAPE),
        )

    def forward(self, latent: Tensor) -> Tensor:
        """(N, latent_dim) to (N, 1, 16, 16)."""
        image: Tensor = self.layers(latent)
        return image

    @torch.no_grad()
    def predict(self, count: int = 16, seed: int = 0) -> dict[str, Any]:
        """Generate images: ``{"image": (count, 1, 16, 16) in [0, 1]}``, which depend on ``seed`` only."""
        latent = torch.randn(count, self.config.latent_dim, generator=torch.Generator().manual_seed(seed))
        return {"image": self(latent.to(next(self.parameters()).device)).cpu()}

    def example(self) -> dict[str, Any]:
        return {"count": 3, "seed": 1}
