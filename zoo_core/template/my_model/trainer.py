"""The training step, the evaluation and the preview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor

_PREVIEW_SIZE = 96


class MyModelTrainer(zoo.Trainer):
    """Minimizes the cross-entropy with Adam, on ``point`` (N, 2) and ``label`` (N,)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(3e-3, "learning rate of Adam", gt=0)

    config: Config
    protocol = "accuracy: fraction of the test points that are classified correctly."

    def setup(self, model: torch.nn.Module, engine: zoo.Engine) -> None:
        adam = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
        self.model, self.optimizer = engine.prepare(model, adam)
        self.engine = engine

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        loss = F.cross_entropy(self.model(batch["point"]), batch["label"])
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        self.model.eval()
        correct = [self.model(batch["point"]).argmax(dim=1) == batch["label"] for batch in batches]
        self.model.train()
        return {"accuracy": float(torch.cat(correct).float().mean())}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """The probability of the second spiral on the square from -1 to 1: (1, 1, 96, 96) in [0, 1]."""
        line = torch.linspace(-1, 1, _PREVIEW_SIZE, device=self.engine.device)
        points = torch.cartesian_prod(line, line).flip(1)
        self.model.eval()
        score: Tensor = self.model(points).softmax(dim=1)[:, 1]
        self.model.train()
        return score.reshape(1, 1, _PREVIEW_SIZE, _PREVIEW_SIZE)
