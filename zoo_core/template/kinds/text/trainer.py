"""The loss and the metrics."""

from __future__ import annotations

import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor

_PROMPT = 16  # characters of a preview that are given


class MyModelTrainer(zoo.SupervisedTrainer):
    """Minimizes the cross-entropy of the next character with AdamW, on ``token`` (N, T + 1)."""

    protocol = "loss: mean cross-entropy in nats per character; accuracy: fraction of characters predicted correctly."

    def loss(self, batch: zoo.Batch) -> Tensor:
        logits = self.model(batch["token"][:, :-1])  # (N, T, V)
        return F.cross_entropy(logits.flatten(0, 1), batch["token"][:, 1:].flatten())

    def metrics(self, batch: zoo.Batch) -> zoo.Metrics:
        correct: Tensor = self.model(batch["token"][:, :-1]).argmax(dim=2) == batch["token"][:, 1:]
        return {"accuracy": correct.float().mean()}

    def preview(self, batch: zoo.Batch) -> str:
        """The beginning of a text, and how the model continues it."""
        model = self.engine.unwrap(self.model).eval()
        prompt = "".join(model.config.vocabulary[index] for index in batch["token"][0, :_PROMPT].tolist())
        text: str = model.predict(prompt)["text"]
        return text
