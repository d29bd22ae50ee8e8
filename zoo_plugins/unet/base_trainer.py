"""What the trainers of a U-Net share: AdamW in one cycle, and averaged weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.common.ema import make_ema, update_ema
from zoo_plugins.common.schedules import OneCycle


class UNetTrainer(zoo.Trainer):
    """Minimizes a loss; a trainer on it says which."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-3, "AdamW step size at the top of the cycle", gt=0)
        warmup_fraction: float = zoo.setting(0.1, "share of the run in which the step size rises", gt=0, lt=1)
        weight_decay: float = zoo.setting(1e-2, "AdamW's decay of weights", ge=0)
        max_grad_norm: float = zoo.setting(0.0, "gradients are scaled down to this norm; 0 leaves them", ge=0)
        ema_decay: float = zoo.setting(0.0, "decay of averaged weights, which are published; 0: none", ge=0, lt=1)

    config: Config
    supports_grad_accumulation = distributed_evaluation = True

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        model.to(memory_format=torch.channels_last)
        adam = torch.optim.AdamW(
            model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )
        self.schedule = OneCycle(adam, self.config.learning_rate, engine.total_steps, self.config.warmup_fraction)
        if self.config.ema_decay:
            self.ema = make_ema(model, buffers=True)
        self.steps = 0
        self.network, self.optimizer = engine.prepare(model, adam)
        self.engine, self._model = engine, model

    def minimize(self, loss: Tensor, terms: Mapping[str, Tensor]) -> zoo.Metrics:
        """One step down ``loss``. Gives what to report: it, and where there are several, the terms it is made of."""
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        if self.config.max_grad_norm:
            self.engine.clip(self._model, self.config.max_grad_norm)
        self.optimizer.step()
        if self.engine.updating:
            self._after_step()
        reported = {"loss": loss, **terms} if len(terms) > 1 else {"loss": loss}
        return {name: value.detach() for name, value in reported.items()}

    def _after_step(self) -> None:
        self.steps += 1
        self.schedule.step()
        if self.config.ema_decay:
            update_ema(self.ema, self._model, self.steps, self.config.ema_decay)

    @property
    def published(self) -> nn.Module:
        """The network whose weights are published: the averaged one, if there is one."""
        network: Any = self.ema.module if self.config.ema_decay else self._model
        return network  # type: ignore[no-any-return]

    def finalize(self) -> None:
        if self.config.ema_decay:
            self._model.load_state_dict(self.ema.module.state_dict())
