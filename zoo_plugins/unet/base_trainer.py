"""What the trainers of a U-Net share: AdamW in one cycle, and averaged weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.common.ema import averaged, update
from zoo_plugins.common.schedules import OneCycle


class UNetTrainer(zoo.Trainer):
    """Minimises a loss; a trainer on it says which."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-3, "AdamW step size at the top of the cycle", above=0)
        warm_up: float = zoo.setting(0.1, "share of the run in which the step size rises", above=0, below=1)
        weight_decay: float = zoo.setting(1e-2, "AdamW's decay of weights", least=0)
        clip: float = zoo.setting(0.0, "gradients are scaled down to this norm; 0 leaves them", least=0)
        averaging: float = zoo.setting(0.0, "decay of averaged weights, which are published; 0: none", least=0, below=1)

    config: Config
    accumulates = shares_evaluation = True

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        model.to(memory_format=torch.channels_last)
        adam = torch.optim.AdamW(
            model.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )
        self.schedule = OneCycle(adam, self.config.learning_rate, engine.total_steps, self.config.warm_up)
        if self.config.averaging:
            self.average = averaged(model, buffers=True)
        self.steps = 0
        self.network, self.optimizer = engine.prepare(model, adam)
        self.engine, self._model = engine, model

    def minimise(self, loss: Tensor, terms: Mapping[str, Tensor]) -> zoo.Metrics:
        """One step down ``loss``. Gives what to report: it, and where there are several, the terms it is made of."""
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        if self.config.clip:
            self.engine.clip(self._model, self.config.clip)
        self.optimizer.step()
        if self.engine.updating:
            self._after_step()
        reported = {"loss": loss, **terms} if len(terms) > 1 else {"loss": loss}
        return {name: value.detach() for name, value in reported.items()}

    def _after_step(self) -> None:
        self.steps += 1
        self.schedule.step()
        if self.config.averaging:
            update(self.average, self._model, self.steps, self.config.averaging)

    @property
    def published(self) -> nn.Module:
        """The network whose weights are published: the averaged one, if there is one."""
        network: Any = self.average.module if self.config.averaging else self._model
        return network  # type: ignore[no-any-return]

    def finish(self) -> None:
        if self.config.averaging:
            self._model.load_state_dict(self.average.module.state_dict())
