"""The metrics of the steps since the last log line, read from the device all at once."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_core.errors import RunFailed
from zoo_core.trainer import Metrics


class Meter:
    """Collects what steps report. Reading waits for the device, so it is done every ``run.log_every`` steps."""

    def __init__(self) -> None:
        self._steps: dict[str, list[int]] = {}
        self._values: dict[str, list[Tensor]] = {}

    def add(self, step: int, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self._steps.setdefault(name, []).append(step)
            self._values.setdefault(name, []).append(value)

    def read(self) -> dict[str, float]:
        """The mean of each metric since the last call.

        Raises:
            RunFailed: if a value was NaN or infinite; it names the first such step and the metric.
        """
        steps, values, self._steps, self._values = self._steps, self._values, {}, {}
        if not values:
            return {}
        stacked = {name: torch.stack(series).detach().float().cpu() for name, series in values.items()}
        bad = [
            (steps[name][index], name, float(series[index]))
            for name, series in stacked.items()
            for index in (~series.isfinite()).nonzero()[:1]
        ]
        if bad:
            step, name, value = min(bad)
            raise RunFailed(
                f"{name} became {value} at step {step}.",
                "Lower the learning rate, or clip gradients; the last checkpoint is from before.",
            )
        return {name: float(series.mean()) for name, series in stacked.items()}
