"""Adversarial training: one step of the discriminator, and one of the generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor

from .discriminator import Discriminator
from .model import MyModel

_PREVIEW_IMAGES = 64


class MyModelTrainer(zoo.Trainer):
    """Minimizes the non-saturating loss (Goodfellow et al. 2014) with R1 regularization (Mescheder et al. 2018)."""

    class Config(zoo.OptimizerConfig):
        optimizer: str = zoo.setting("adam", "name of the optimizer: `zoo list optimizers`")
        optimizer_options: dict[str, Any] = zoo.setting({"betas": [0.0, 0.99]}, "further options of the optimizer")
        width: int = zoo.setting(128, "units in each hidden layer of the discriminator", ge=1)
        r1_weight: float = zoo.setting(0.1, "weight of the squared gradient of the discriminator on real images", ge=0)

    config: Config
    protocol = (
        "energy_distance: between the pixels of the test images and of as many generated ones "
        "(Székely & Rizzo 2013); 0 if they have the same distribution."
    )

    def setup(self, model: MyModel, engine: zoo.Engine) -> None:
        self.engine, self._latent_dim = engine, model.config.latent_dim
        discriminator = Discriminator(16 * 16, self.config.width).to(engine.device)
        self.generator, self.generator_optimizer, self.generator_schedule = engine.optimizer(model, self.config)
        self.discriminator, self.discriminator_optimizer, self.discriminator_schedule = engine.optimizer(
            discriminator, self.config
        )

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        real = batch["image"].detach().requires_grad_()
        fake = self.generator(torch.randn(len(real), self._latent_dim, device=real.device))

        on_real, on_fake = self.discriminator(real), self.discriminator(fake.detach())
        adversarial = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        (gradient,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
        r1 = gradient.square().sum(dim=(1, 2, 3)).mean()
        self.discriminator_optimizer.zero_grad()
        self.engine.backward(adversarial + self.config.r1_weight * r1)
        self.discriminator_optimizer.step()

        generator_loss = F.softplus(-self.discriminator(fake)).mean()
        self.generator_optimizer.zero_grad()
        self.engine.backward(generator_loss, inputs=self.generator.parameters())
        self.generator_optimizer.step()
        losses = {"generator_loss": generator_loss, "discriminator_loss": adversarial, "r1": r1}
        return {name: value.detach() for name, value in losses.items()}

    def after_step(self) -> None:
        self.generator_schedule.step()
        self.discriminator_schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        real = torch.cat([batch["image"] for batch in batches])
        return {"energy_distance": float(_energy_distance(real.flatten(1), self._generate(len(real)).flatten(1)))}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Generated images: (64, 1, 16, 16) in [0, 1]."""
        return self._generate(_PREVIEW_IMAGES)

    def _generate(self, count: int) -> Tensor:
        """The same latent vectors each time."""
        latent = torch.randn(count, self._latent_dim, generator=torch.Generator().manual_seed(0))
        image: Tensor = self.generator(latent.to(self.engine.device))
        return image


def _energy_distance(one: Tensor, other: Tensor) -> Tensor:
    """The energy distance of two samples of vectors, (N, D) and (M, D)."""
    between = torch.cdist(one, other).mean()
    return 2 * between - torch.cdist(one, one).mean() - torch.cdist(other, other).mean()
