"""The loss, the metrics and the preview."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor

_PREVIEW_SIZE = 96


class MyModelTrainer(zoo.SupervisedTrainer):
    """Minimizes the cross-entropy with AdamW, on ``row`` (N, columns) and ``label`` (N,)."""

    protocol = "accuracy: fraction of the test rows that are classified correctly; loss: mean cross-entropy."

    def loss(self, batch: zoo.Batch) -> Tensor:
        return F.cross_entropy(self.model(batch["row"]), batch["label"])

    def metrics(self, batch: zoo.Batch) -> zoo.Metrics:
        correct: Tensor = self.model(batch["row"]).argmax(dim=1) == batch["label"]
        return {"accuracy": correct.float().mean()}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor | None:
        """Of a table with two columns, the probability of the last class on the plane: (1, 1, 96, 96) in [0, 1]."""
        row = batch["row"]
        if row.shape[1] != 2:
            return None
        line = torch.linspace(0, 1, _PREVIEW_SIZE, device=row.device)
        low, high = row.min(dim=0).values, row.max(dim=0).values
        plane = low + (high - low) * torch.cartesian_prod(line, line).flip(1)
        self.model.eval()
        score: Tensor = self.model(plane).softmax(dim=1)[:, -1]
        self.model.train()
        return score.reshape(1, 1, _PREVIEW_SIZE, _PREVIEW_SIZE)
