"""A plugin file: the digit classifier, trained by an optimizer and a schedule that the recipe names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo


class ByNameTrainer(zoo.Trainer):
    """Cross-entropy; the loss is computed in a closure, which L-BFGS calls several times in a step."""

    @dataclass(frozen=True, kw_only=True)
    class Config(zoo.OptimizerConfig):
        pass

    config: Config

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        self.engine = engine
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        def closure() -> Tensor:
            loss = F.cross_entropy(self.model(batch["image"]), batch["label"])
            self.optimizer.zero_grad()
            self.engine.backward(loss)
            return loss

        return {"loss": self.optimizer.step(closure).detach()}

    def after_step(self) -> None:
        self.schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        self.model.eval()
        correct = [self.model(batch["image"]).argmax(dim=1) == batch["label"] for batch in batches]
        self.model.train()
        return {"accuracy": float(torch.cat(correct).float().mean())}


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.trainer("by-name", "optimizer_task:ByNameTrainer", summary="Cross-entropy with any optimizer")
    registry.recipe(
        "optimizer-task",
        __file__,
        summary="Digits, with any optimizer and schedule",
        model={"name": "digit-classifier"},
        dataset={"name": "mnist", "source": "subset"},
        trainer={"name": "by-name"},
        run={"steps": 12, "batch_size": 16, "log_every": 3, "checkpoint_every": 3, "threads": 1, "device": "cpu"},
    )
