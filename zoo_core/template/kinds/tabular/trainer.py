"""The loss and the metrics."""

from __future__ import annotations

import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor


class MyModelTrainer(zoo.SupervisedTrainer):
    """Minimizes the cross-entropy with AdamW, on ``row`` (N, columns) and ``label`` (N,)."""

    protocol = "accuracy: fraction of the test rows that are classified correctly; loss: mean cross-entropy."

    def loss(self, batch: zoo.Batch) -> Tensor:
        return F.cross_entropy(self.model(batch["row"]), batch["label"])

    def metrics(self, batch: zoo.Batch) -> zoo.Metrics:
        correct: Tensor = self.model(batch["row"]).argmax(dim=1) == batch["label"]
        return {"accuracy": correct.float().mean()}
