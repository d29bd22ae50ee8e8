"""Tracks the best checkpoint by a monitored metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from zoo_core.errors import BadSetting, did_you_mean


@dataclass
class Best:
    """The step with the best value of the monitored metric; -1 before the first evaluation."""

    step: int = -1
    value: float = math.nan

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints must not be deleted."""
        return (self.step,) if self.step >= 0 else ()

    def update(self, metrics: Mapping[str, float], monitor: str, step: int) -> bool:
        """Record ``step`` if it is better than all before, and return whether it is. Of equal values the first counts.

        ``monitor`` names the metric to maximize, such as ``"accuracy"``, or with a minus sign the one to minimize, such
        as ``"-mse"``; "" is none.

        Raises:
            BadSetting: if there is no such metric.
        """
        name = monitor.removeprefix("-")
        if not name:
            return False
        if name not in metrics:
            known = f"The evaluation returns {', '.join(metrics) or 'no metrics'}."
            raise BadSetting(f"run.monitor: there is no metric '{name}'.", did_you_mean(name, metrics, known))
        value = metrics[name]
        better = value < self.value if monitor.startswith("-") else value > self.value
        if math.isfinite(value) and (better or self.step < 0):
            self.step, self.value = step, value
            return True
        return False
