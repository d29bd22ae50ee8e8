"""A convolutional variational autoencoder (Kingma & Welling 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import zoo_core as zoo


class VAE(zoo.Model):
    """Encodes gray images of 28 x 28 to normally distributed codes of ``latent_dim`` values, and decodes them."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        latent_dim: int = zoo.setting(20, "dimension of the latent code", ge=1)
        channels: int = zoo.setting(32, "channels of the first convolution; the second has twice as many", ge=1)

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"image": "(N, 1, 28, 28) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        narrow, wide = config.channels, 2 * config.channels
        self.encoder = nn.Sequential(
            nn.Conv2d(1, narrow, 4, stride=2, padding=1),  # (N, narrow, 14, 14)
            nn.SiLU(),
            nn.Conv2d(narrow, wide, 4, stride=2, padding=1),  # (N, wide, 7, 7)
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(wide * 49, 256),
            nn.SiLU(),
            nn.Linear(256, 2 * config.latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(config.latent_dim, 256),
            nn.SiLU(),
            nn.Linear(256, wide * 49),
            nn.SiLU(),
            nn.Unflatten(1, (wide, 7, 7)),
            nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(narrow, 1, 4, stride=2, padding=1),
        )

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, 28, 28) to the mean and the log variance of the code, both (N, latent_dim)."""
        mean, log_variance = self.encoder(image).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, code: Tensor) -> Tensor:
        """(N, latent_dim) to pixel logits (N, 1, 28, 28)."""
        logits: Tensor = self.decoder(code)
        return logits

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixel logits (N, 1, 28, 28) of one sampled code, and its mean and log variance (N, latent_dim)."""
        mean, log_variance = self.encode(image)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return self.decode(code), mean, log_variance

    @torch.no_grad()
    def predict(self, count: int = 40, seed: int = 0) -> dict[str, Any]:
        """Generated images, ``{"image": (count, 1, 28, 28) in [0, 1]}``, which depend on ``seed`` only."""
        generator = torch.Generator().manual_seed(seed)
        code = torch.randn(count, self.config.latent_dim, generator=generator)
        device = next(self.parameters()).device
        return {"image": self.decode(code.to(device)).sigmoid().cpu()}

    def example(self) -> dict[str, Any]:
        return {"count": 3, "seed": 1}
