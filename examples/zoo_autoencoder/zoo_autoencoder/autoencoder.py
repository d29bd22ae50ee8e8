"""A denoising autoencoder (Vincent et al. 2008)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo


class Autoencoder(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(64, "dimension of the latent code", ge=1)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, config.width), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(config.width, 28 * 28), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, 28, 28) to (N, 1, 28, 28), both in [0, 1]."""
        decoded: Tensor = self.decoder(self.encoder(image))
        return decoded.view_as(image)


class AutoencoderTrainer(zoo.Trainer):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-3, "learning rate of Adam", gt=0)
        noise: float = zoo.setting(0.3, "standard deviation of the noise added to the input", ge=0)

    config: Config

    def setup(self, model: Autoencoder, engine: zoo.Engine) -> None:
        adam = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
        self.model, self.optimizer = engine.prepare(model, adam)
        self.engine = engine

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image = batch["image"]
        loss = F.mse_loss(self.model(self._noisy(image)), image)
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        noisy = self._noisy(batch["image"])
        return torch.cat([noisy.clamp(0, 1), self.model(noisy)], dim=3)

    def _noisy(self, image: Tensor) -> Tensor:
        return image + self.config.noise * torch.randn_like(image)
