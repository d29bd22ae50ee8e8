"""Base class of the U-Net trainers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import zoo_core as zoo


class UNetTrainer(zoo.Trainer):
    """Optimizer, schedule and gradient clipping. A subclass computes the loss and calls :meth:`minimize`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(zoo.OptimizerConfig):
        weight_decay: float = zoo.setting(1e-2, "weight decay", ge=0)
        decay_norms_and_biases: bool = zoo.setting(True, "apply weight decay to biases and normalization layers, too")
        schedule: str = zoo.setting("one-cycle", "name of the schedule: `zoo list schedules`")
        warmup: float = zoo.setting(0.1, "steps in which the learning rate rises; below 1, a fraction of the run", ge=0)
        max_grad_norm: float = zoo.setting(0.0, "maximum norm of the gradients; 0 disables clipping", ge=0)

    config: Config
    supports_grad_accumulation = distributed_evaluation = True

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        model.to(memory_format=torch.channels_last)
        self.network, self.optimizer, self.schedule = engine.optimizer(model, self.config)
        self.engine, self._model = engine, model

    def minimize(self, loss: Tensor, terms: Mapping[str, Tensor]) -> zoo.Metrics:
        """One optimizer step. Returns the metrics to log: the loss, and its ``terms`` if there are several."""
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        if self.config.max_grad_norm:
            self.engine.clip(self._model, self.config.max_grad_norm)
        self.optimizer.step()
        metrics = {"loss": loss, **terms} if len(terms) > 1 else {"loss": loss}
        return {name: value.detach() for name, value in metrics.items()}

    def after_step(self) -> None:
        self.schedule.step()
