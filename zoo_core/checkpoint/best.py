"""Which step was the best, by a figure of its evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from zoo_core.errors import BadSetting, did_you_mean


@dataclass
class Best:
    """The step whose checkpoint is spared, and its figure; none before the first evaluation."""

    step: int = -1
    value: float = math.nan

    @property
    def steps(self) -> tuple[int, ...]:
        return (self.step,) if self.step >= 0 else ()

    def beaten_by(self, metrics: Mapping[str, float], monitor: str, step: int) -> bool:
        """Whether ``step`` is better than all before, which is then kept in mind. Of equals the first is the best.

        ``monitor`` is ``"accuracy"`` for the highest, ``"-mse"`` for the lowest, or "" for none.

        Raises:
            BadSetting: if there is no such figure.
        """
        name = monitor.removeprefix("-")
        if not name:
            return False
        if name not in metrics:
            known = f"The evaluation gives {', '.join(metrics) or 'nothing'}."
            raise BadSetting(f"run.monitor: there is no metric '{name}'.", did_you_mean(name, metrics, known))
        value = metrics[name]
        better = value < self.value if monitor.startswith("-") else value > self.value
        if math.isfinite(value) and (better or self.step < 0):
            self.step, self.value = step, value
            return True
        return False
