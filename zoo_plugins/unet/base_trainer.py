"""Base class of the U-Net trainers: AdamW with a one-cycle schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.common.schedules import OneCycle


class UNetTrainer(zoo.Trainer):
    """Optimizer, schedule and gradient clipping. A subclass computes the loss and calls :meth:`minimize`."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-3, "maximum learning rate of the one-cycle schedule (AdamW)", gt=0)
        warmup_fraction: float = zoo.setting(0.1, "fraction of the run in which the learning rate rises", gt=0, lt=1)
        weight_decay: float = zoo.setting(1e-2, "weight decay of AdamW", ge=0)
        max_grad_norm: float = zoo.setting(0.0, "maximum norm of the gradients; 0 disables clipping", ge=0)

    config: Config
    supports_grad_accumulation = distributed_evaluation = True

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )
        self.schedule = OneCycle(optimizer, self.config.learning_rate, engine.total_steps, self.config.warmup_fraction)
        self.network, self.optimizer = engine.prepare(model, optimizer)
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
