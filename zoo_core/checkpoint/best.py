"""Tracks a monitored metric: the best checkpoint, and how long ago it improved."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from zoo_core.errors import BadSetting, did_you_mean


@dataclass(frozen=True)
class Monitor:
    """The metric that a run compares: ``"accuracy"`` is maximized, ``"-mse"`` minimized, and "" is none."""

    setting: str
    option: str = "run.monitor"
    """Where it is given."""

    @property
    def name(self) -> str:
        """The name of the metric, or ""."""
        return self.setting.removeprefix("-")

    def is_better(self, value: float, than: float, by: float = 0.0) -> bool:
        """Whether ``value`` is finite and better by more than ``by``; anything finite is better than NaN."""
        if not math.isfinite(value):
            return False
        gain = than - value if self.setting.startswith("-") else value - than
        return math.isnan(than) or gain > by

    def refuse_unknown(self, metrics: Collection[str]) -> None:
        """Raise BadSetting unless ``metrics``, the names of all that there are, contain the monitored one."""
        if not self.name or self.name in metrics:
            return
        details = [name for name in metrics if "/" in name]
        shown = [name for name in metrics if "/" not in name] or details
        more = f" and {len(details)} such as {details[0]}" if details and shown is not details else ""
        sign = "-" if self.setting.startswith("-") else ""
        example = f"Write for example `{self.option}={sign}{shown[0]}`." if shown else f"Leave {self.option} out."
        raise BadSetting(
            f"{self.option}: there is no metric '{self.name}'; the evaluation returns "
            f"{', '.join(shown) or 'no metrics'}{more}.",
            did_you_mean(self.name, metrics, example),
        )


@dataclass
class Best:
    """The step with the best value of the monitored metric; -1 before the first evaluation."""

    step: int = -1
    value: float = math.nan

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints must not be deleted."""
        return (self.step,) if self.step >= 0 else ()

    def update(self, metrics: Mapping[str, float], monitor: Monitor, step: int) -> bool:
        """Record ``step`` if it is better than all before, and return whether it is. Of equal values the first counts.

        Raises:
            BadSetting: if there is no such metric.
        """
        if not monitor.name:
            return False
        monitor.refuse_unknown(metrics)
        value = metrics[monitor.name]
        if monitor.is_better(value, self.value):
            self.step, self.value = step, value
            return True
        return False


@dataclass
class Patience:
    """The evaluations since the monitored metric has improved, and the value that it had then."""

    value: float = math.nan
    evaluations: int = 0
    step: int = -1
    """Of the last evaluation that was counted."""

    def update(self, value: float, monitor: Monitor, min_delta: float, step: int) -> None:
        """Count an evaluation, or begin again if ``value`` is better by more than ``min_delta``."""
        self.step = step
        if monitor.is_better(value, self.value, min_delta):
            self.value, self.evaluations = value, 0
        else:
            self.evaluations += 1
