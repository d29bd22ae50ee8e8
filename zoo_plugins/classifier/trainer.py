"""Training of image classifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.common.labels import check_labels
from zoo_plugins.common.transforms import affine


class ClassifierTrainer(zoo.Trainer):
    """Trains any model that maps ``image`` (N, C, H, W) to logits (N, K) for ``label`` (N,)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(zoo.OptimizerConfig):
        learning_rate: float = zoo.setting(4e-3, "learning rate, the highest one of the schedule", gt=0)
        weight_decay: float = zoo.setting(1e-2, "weight decay", ge=0)
        decay_norms_and_biases: bool = zoo.setting(True, "apply weight decay to biases and normalization layers, too")
        schedule: str = zoo.setting("one-cycle", "name of the schedule: `zoo list schedules`")
        warmup: float = zoo.setting(0.2, "steps in which the learning rate rises; below 1, a fraction of the run", ge=0)
        rotation: float = zoo.setting(10.0, "augmentation: maximum rotation in degrees", ge=0, le=180)
        scaling: float = zoo.setting(0.1, "augmentation: maximum relative change of the scale", ge=0, lt=1)
        shift: float = zoo.setting(2.0, "augmentation: maximum translation in pixels", ge=0)

    config: Config
    supports_grad_accumulation = distributed_evaluation = True
    protocol = "accuracy: top-1 accuracy on the test split; loss: mean cross-entropy on the test split."

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        model.to(memory_format=torch.channels_last)
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)
        self.engine = engine

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image, label = self._augment(batch["image"]), batch["label"]  # (N, C, H, W) in [0, 1], (N,)
        score = self.model(image)  # (N, K)
        if self.engine.may_read:
            check_labels(label, score.shape[1])
        loss = F.cross_entropy(score, label)
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach(), "accuracy": (score.argmax(dim=1) == label).float().mean()}

    def after_step(self) -> None:
        self.schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        self.model.eval()
        correct, loss, count = 0.0, 0.0, 0.0
        for batch in batches:
            score = self.model(batch["image"])
            check_labels(batch["label"], score.shape[1])
            correct += int((score.argmax(dim=1) == batch["label"]).sum())
            loss += float(F.cross_entropy(score, batch["label"], reduction="sum"))
            count += len(score)
        self.model.train()
        sums = torch.tensor([correct, loss, count], dtype=torch.float64)
        correct, loss, count = self.engine.sum(sums).tolist()
        return {"accuracy": correct / count, "loss": loss / count}

    def _augment(self, image: Tensor) -> Tensor:
        """Each image randomly rotated, scaled and translated."""
        count, (height, width) = len(image), image.shape[-2:]

        def draw(limit: float) -> Tensor:
            """(N,), uniform in [-limit, limit)"""
            return (torch.rand(count, device=image.device) * 2 - 1) * limit

        angle, scale = torch.deg2rad(draw(self.config.rotation)), 1 + draw(self.config.scaling)
        shift_x, shift_y = draw(2 * self.config.shift / width), draw(2 * self.config.shift / height)
        return affine(image, angle, scale, shift_x, shift_y)
