"""Training of a language model."""

import math

import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo


class NextCharacter(zoo.SupervisedTrainer):
    """Minimizes the cross-entropy of every character, given those before it."""

    class Config(zoo.SupervisedTrainer.Config):
        learning_rate: float = zoo.setting(2e-3, "highest learning rate", gt=0)

    protocol = "loss: cross-entropy of a character of the test split in nats; bits_per_character: the same in bits."

    def loss(self, batch: zoo.Batch) -> Tensor:
        text = batch["text"]  # (N, L)
        return F.cross_entropy(self.model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())

    def metrics(self, batch: zoo.Batch) -> zoo.Metrics:
        return {"bits_per_character": self.loss(batch) / math.log(2)}

    def preview(self, batch: zoo.Batch) -> str:
        model = self.engine.unwrap(self.model).eval()
        prompt = "".join(model.config.vocabulary[place] for place in batch["text"][0, :16].tolist())
        return model.predict(prompt)["text"]  # type: ignore[no-any-return]
