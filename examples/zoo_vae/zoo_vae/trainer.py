"""Training by the evidence lower bound (Kingma & Welling 2014, eq. 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_vae.model import VAE

_PREVIEW_COLUMNS = 8


class VAETrainer(zoo.Trainer):
    """Minimizes ``reconstruction + weight * kl_divergence``, which at weight 1 is the negative ELBO in nats."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-3, "learning rate of Adam", gt=0)
        kl_warmup_fraction: float = zoo.setting(
            0.1, "fraction of the run in which the weight of the KL divergence grows from 0 to 1", ge=0, le=1
        )

    config: Config
    protocol = (
        "negative_elbo: nats per test image, with Bernoulli pixels and one sampled code per image; "
        "kl_divergence: the part of it that is the KL divergence of the codes from the standard normal distribution."
    )

    def setup(self, model: VAE, engine: zoo.Engine) -> None:
        adam = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
        self.model, self.optimizer = engine.prepare(model, adam)
        self.steps = 0
        self.engine, self._model = engine, model

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        reconstruction, kl_divergence = self._terms(batch["image"])
        weight = min(1.0, (self.steps + 1) / max(1.0, self.config.kl_warmup_fraction * self.engine.total_steps))
        self.steps += 1
        loss = reconstruction + weight * kl_divergence
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        terms = {"loss": loss, "reconstruction": reconstruction, "kl_divergence": kl_divergence}
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
        reconstruction, kl_divergence = (sums / count).tolist()
        return {"negative_elbo": reconstruction + kl_divergence, "kl_divergence": kl_divergence}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Rows of eight images, their reconstructions, and generated images: (24, 1, 28, 28) in [0, 1]."""
        image = batch["image"][:_PREVIEW_COLUMNS]
        self._model.eval()
        mean, _ = self._model.encode(image)
        generated = self._model.decode(torch.randn_like(mean)).sigmoid()
        rows = torch.cat([image, self._model.decode(mean).sigmoid(), generated])
        self._model.train()
        return rows

    def _terms(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction error and the KL divergence in nats, averaged over the images: two scalars."""
        logits, mean, log_variance = self.model(image)
        pixels = F.binary_cross_entropy_with_logits(logits.float(), image, reduction="none")
        # Kingma & Welling 2014, appendix B
        kl_divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return pixels.sum(dim=(1, 2, 3)).mean(), kl_divergence.sum(dim=1).mean()
