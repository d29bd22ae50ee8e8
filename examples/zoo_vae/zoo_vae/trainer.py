"""Training by the evidence lower bound (Kingma & Welling 2014, eq. 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_vae.model import VAE

_SHOWN = 8


class VAETrainer(zoo.Trainer):
    """Minimizes ``reconstruction + weight * divergence``, whose sum at weight 1 is the negative bound, in nats."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-3, "Adam step size", gt=0)
        warm_up: float = zoo.setting(0.1, "share of the run in which the divergence's weight grows to 1", ge=0, le=1)

    config: Config
    protocol = (
        "negative_elbo: nats per evaluation picture, pixels taken as probabilities of white, one code drawn for each; "
        "divergence: its part that is the divergence of codes from the standard normal."
    )

    def setup(self, model: VAE, engine: zoo.Engine) -> None:
        adam = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
        self.model, self.optimizer = engine.prepare(model, adam)
        self.steps = 0
        self.engine, self._model = engine, model

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        reconstruction, divergence = self._terms(batch["image"])
        weight = min(1.0, (self.steps + 1) / max(1.0, self.config.warm_up * self.engine.total_steps))
        self.steps += 1
        loss = reconstruction + weight * divergence
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        terms = {"loss": loss, "reconstruction": reconstruction, "divergence": divergence}
        return {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        self.model.eval()
        sums, count = torch.zeros(2, dtype=torch.float64), 0
        for batch in batches:
            terms = torch.stack(self._terms(batch["image"])).double().cpu()
            sums += len(batch["image"]) * terms
            count += len(batch["image"])
        self.model.train()
        reconstruction, divergence = (sums / count).tolist()
        return {"negative_elbo": reconstruction + divergence, "divergence": divergence}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Rows of eight: pictures, what comes back of them, and new ones: (24, 1, 28, 28)."""
        image = batch["image"][:_SHOWN]
        self._model.eval()
        mean, _ = self._model.encode(image)
        drawn = self._model.decode(torch.randn_like(mean)).sigmoid()
        rows = torch.cat([image, self._model.decode(mean).sigmoid(), drawn])
        self._model.train()
        return rows

    def _terms(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction and divergence in nats, averaged over the pictures."""
        logits, mean, log_variance = self.model(image)
        pixels = F.binary_cross_entropy_with_logits(logits.float(), image, reduction="none")
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return pixels.sum(dim=(1, 2, 3)).mean(), divergence.sum(dim=1).mean()
