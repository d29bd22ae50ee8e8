"""The loss, the metrics and the preview."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor

_PREVIEW_SIZE = 96


class MyModelTrainer(zoo.SupervisedTrainer):
    """Minimizes the cross-entropy with AdamW, on ``point`` (N, 2) and ``label`` (N,)."""

    protocol = "accuracy: fraction of the test points that are classified correctly; loss: mean cross-entropy."

    def loss(self, batch: zoo.Batch) -> Tensor:
        return F.cross_entropy(self.model(batch["point"]), batch["label"])

    def metrics(self, batch: zoo.Batch) -> zoo.Metrics:
        correct: Tensor = self.model(batch["point"]).argmax(dim=1) == batch["label"]
        return {"accuracy": correct.float().mean()}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """The probability of the second spiral on the square from -1 to 1: (1, 1, 96, 96) in [0, 1]."""
        line = torch.linspace(-1, 1, _PREVIEW_SIZE, device=self.engine.device)
        points = torch.cartesian_prod(line, line).flip(1)
        self.model.eval()
        score: Tensor = self.model(points).softmax(dim=1)[:, 1]
        self.model.train()
        return score.reshape(1, 1, _PREVIEW_SIZE, _PREVIEW_SIZE)
