"""The loss, the metrics and the preview."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor

_PREVIEW_IMAGES = 64


class MyModelTrainer(zoo.SupervisedTrainer):
    """Minimizes the cross-entropy with AdamW, on ``image`` (N, C, H, W) and ``label`` (N,)."""

    protocol = "accuracy: fraction of the test images that are classified correctly; loss: mean cross-entropy."

    def loss(self, batch: zoo.Batch) -> Tensor:
        return F.cross_entropy(self.model(batch["image"]), batch["label"])

    def metrics(self, batch: zoo.Batch) -> zoo.Metrics:
        return {"accuracy": self._is_correct(batch).float().mean()}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """The first images of the batch, those that are classified wrongly in red: (N, 3, H, W) in [0, 1]."""
        self.model.eval()
        correct = self._is_correct(batch)[:_PREVIEW_IMAGES, None, None, None]
        self.model.train()
        gray = batch["image"][:_PREVIEW_IMAGES].mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        red = gray * torch.tensor([1.0, 0.0, 0.0], device=gray.device)[:, None, None]
        return torch.where(correct, gray, red)

    def _is_correct(self, batch: zoo.Batch) -> Tensor:
        """Whether each image is classified correctly: (N,)."""
        correct: Tensor = self.model(batch["image"]).argmax(dim=1) == batch["label"]
        return correct
