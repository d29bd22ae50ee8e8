"""Base class of the U-Net trainers: AdamW with a one-cycle schedule and EMA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.common.ema import EmaUpdate, make_ema
from zoo_plugins.common.schedules import OneCycle


class UNetTrainer(zoo.Trainer):
    """Optimizer, schedule, gradient clipping and EMA. A subclass computes the loss and calls :meth:`minimize`."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-3, "maximum learning rate of the one-cycle schedule (AdamW)", gt=0)
        warmup_fraction: float = zoo.setting(0.1, "fraction of the run in which the learning rate rises", gt=0, lt=1)
        weight_decay: float = zoo.setting(1e-2, "weight decay of AdamW", ge=0)
        max_grad_norm: float = zoo.setting(0.0, "maximum norm of the gradients; 0 disables clipping", ge=0)
        ema_decay: float = zoo.setting(
            0.0, "decay of the EMA of the weights, which are published; 0 disables it", ge=0, lt=1
        )

    config: Config
    supports_grad_accumulation = distributed_evaluation = True

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )
        self.schedule = OneCycle(optimizer, self.config.learning_rate, engine.total_steps, self.config.warmup_fraction)
        if self.config.ema_decay:
            self.ema = make_ema(model, buffers=True)
        self.steps = 0
        self.network, self.optimizer = engine.prepare(model, optimizer)
        self.engine, self._model = engine, model
        self._update_ema = EmaUpdate(self.ema, model) if self.config.ema_decay else None

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
        self.steps += 1
        self.schedule.step()
        if self._update_ema:
            self._update_ema(self.steps, self.config.ema_decay)

    @property
    def eval_model(self) -> nn.Module:
        """The model that is evaluated and published: the EMA if enabled, otherwise the trained model."""
        model: Any = self.ema.module if self.config.ema_decay else self._model
        return model  # type: ignore[no-any-return]

    def finalize(self) -> None:
        if self.config.ema_decay:
            self._model.load_state_dict(self.ema.module.state_dict())
