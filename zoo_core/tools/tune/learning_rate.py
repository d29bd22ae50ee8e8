"""The learning rate range test (Smith 2017, section 3.3): steps with learning rates that grow, and their losses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from zoo_core.config.recipe import Recipe
from zoo_core.errors import BadSetting, RunFailed, did_you_mean
from zoo_core.hookspecs import hookimpl
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.tools.bench.training import QUIET
from zoo_core.training.runner import run_recipe

_OVERRIDES = (*QUIET, "run.preview_every=0", "run.checkpoint_every=0")
_SMOOTHING = 0.9  # of the moving average of the losses
_DIVERGED = 4.0  # times the range of the losses until then, above the lowest one
_FEWEST = 10  # steps before a loss can count as diverged, and that a slope is computed from
_SETTING = "learning_rate"


@dataclass(frozen=True)
class RangeTest:
    """The learning rates that were tried, and what they gave.

    Where a trainer has several learning rates, they grow in proportion. ``rates`` has the values of ``setting``, of
    which a parameter group may have a multiple, or else the largest learning rate.
    """

    metric: str
    rates: list[float]
    losses: list[float]
    """Of the step with each rate, before its update."""
    smoothed: list[float]
    """Their exponential moving average, without its bias towards zero (Kingma & Ba 2015, section 3)."""
    suggestion: float | None
    """The rate at which the smoothed loss falls fastest; None if it falls nowhere."""
    setting: str | None
    """The setting to write it to; None if the trainer has several learning rates, or none called so."""
    factors: dict[str, float]
    """The learning rate of each optimizer relative to the largest one."""


def learning_rate_range(
    recipe: Recipe,
    catalog: Catalog,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    metric: str | None = None,
) -> RangeTest:
    """Train ``recipe`` for some steps, whose learning rates grow from ``lowest`` to ``highest``, and delete the run.

    It ends early if the loss diverges. Schedules have no effect. ``metric`` is the loss among the metrics of a step; by
    default the one called "loss", or the only one.

    Raises:
        BadSetting: if ``metric`` is none of the trainer's, or if the trainer has no optimizer.
        ZooError: as a run of the recipe would.
    """
    overrides = [
        *_OVERRIDES,
        f"run.steps={steps + 1}",
        f"run.log_every={steps + 1}",
    ]  # the last step would be evaluated
    resolved = resolve(recipe.with_overrides(overrides), catalog)
    rising = _Rising(lowest, highest, steps, metric)
    with TemporaryDirectory(prefix="zoo-tune-") as folder:
        try:
            run = run_recipe(resolved, [rising], Path(folder, "run"))
        except RunFailed:
            if not rising.diverged:  # else the weights are no longer finite, which a run refuses to save
                raise
        else:
            if run.stopping not in ("", rising.reason):  # a signal
                raise KeyboardInterrupt
    if rising.mistake is not None:
        raise rising.mistake
    smoothed = smooth(rising.losses)
    return RangeTest(
        rising.metric or "",
        rising.rates,
        rising.losses,
        smoothed,
        steepest(rising.rates, smoothed),
        f"trainer.{_SETTING}" if rising.has_setting else None,
        rising.factors,
    )


@dataclass
class _Rising:
    """Callback that raises the learning rates from step to step, and records the losses."""

    lowest: float
    highest: float
    steps: int
    metric: str | None
    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    factors: dict[str, float] = field(default_factory=dict)
    has_setting: bool = False
    diverged: bool = False
    mistake: BadSetting | None = None
    reason: str = "the range test"

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self._groups = [(name, group) for name, one in _optimizers(vars(run.trainer)) for group in one.param_groups]
        initial = [_rate_of(group) for _, group in self._groups]
        largest = max(initial, default=0.0)
        if not largest:
            self._give_up(run, _no_learning_rate(run))
            return
        for (name, _), rate in zip(self._groups, initial, strict=True):
            self.factors[name] = max(rate / largest, self.factors.get(name, 0.0))
        setting = run.recipe.settings("trainer").get(_SETTING)
        self.has_setting = setting is not None and len(set(self.factors.values())) == 1
        unit = float(setting or 0) if self.has_setting else largest
        self._shares = [rate / unit for rate in initial]
        self._set(0)

    @hookimpl
    def zoo_step_finished(self, run: Run, step: int, metrics: Mapping[str, Any]) -> None:
        if self.mistake:
            return
        if self.metric is None:
            self.metric = "loss" if "loss" in metrics else next(iter(metrics)) if len(metrics) == 1 else None
        if self.metric is None or self.metric not in metrics:
            self._give_up(run, _no_such_metric(self.metric, list(metrics)))
            return
        self.losses.append(float(metrics[self.metric]))
        self.rates.append(self._rate(step - 1))
        self.diverged = has_diverged(self.losses)
        if step >= self.steps or self.diverged:
            run.stop(self.reason)
        else:
            self._set(step)

    def _give_up(self, run: Run, mistake: BadSetting) -> None:
        self.mistake = mistake
        run.stop(self.reason)

    def _rate(self, number: int) -> float:
        return float(self.lowest * (self.highest / self.lowest) ** (number / max(1, self.steps - 1)))

    def _set(self, number: int) -> None:
        for (_, group), share in zip(self._groups, self._shares, strict=True):
            rate = share * self._rate(number)
            if isinstance(group["lr"], Tensor):  # on an accelerator, where a captured step reads it
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def smooth(losses: Sequence[float]) -> list[float]:
    """The exponential moving average of ``losses``, without its bias towards zero."""
    average, smoothed = 0.0, []
    for number, loss in enumerate(losses, 1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smoothed.append(average / (1 - _SMOOTHING**number))
    return smoothed


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the last loss is not finite, or far above all that the first steps had."""
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) <= _FEWEST:
        return False
    smoothed = smooth(losses)
    lowest = min(smoothed)
    return smoothed[-1] > lowest + _DIVERGED * max(abs(smoothed[0] - lowest), abs(lowest))


def steepest(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """The rate at which the smoothed loss falls fastest per factor of the rate, before its minimum; None if nowhere."""
    finite = [number for number, loss in enumerate(smoothed) if math.isfinite(loss)]
    if len(finite) <= _FEWEST:
        return None
    lowest = min(finite, key=lambda number: smoothed[number])
    width = max(1, len(finite) // 20)  # a slope between neighbors would be that of their batches
    slopes = {
        number: (smoothed[number + width] - smoothed[number - width])
        / math.log(rates[number + width] / rates[number - width])
        for number in range(_FEWEST, lowest - width + 1)
        if number + width < len(finite)
    }
    best = min(slopes, key=lambda number: slopes[number], default=None)
    return rates[best] if best is not None and slopes[best] < 0 else None


def _optimizers(held: Any, name: str = "") -> Iterator[tuple[str, Optimizer]]:
    """The optimizers among the attributes of a trainer, also in lists and mappings, with their names."""
    for key, value in held.items() if isinstance(held, Mapping) else enumerate(held):
        inner = f"{name}.{key}" if name else str(key)
        if isinstance(value, Optimizer):
            yield inner, value
        elif isinstance(value, (Mapping, list, tuple)):
            yield from _optimizers(value, inner)


def _rate_of(group: Mapping[str, Any]) -> float:
    """The learning rate of a parameter group, without what a schedule makes of it in the first step."""
    return float(group.get("max_lr", group.get("initial_lr", group["lr"])))  # max_lr: of OneCycleLR


def _no_learning_rate(run: Run) -> BadSetting:
    return BadSetting(
        f"the trainer '{run.recipe.component('trainer')}' has no optimizer with a learning rate above 0.",
        "Keep the optimizer in an attribute of the trainer, and leave out settings that multiply its rates by 0.",
    )


def _no_such_metric(metric: str | None, known: list[str]) -> BadSetting:
    listed = ", ".join(known)
    if metric is None:
        return BadSetting(
            f"the trainer's steps report {listed}, and none of them is called 'loss'.",
            f"Choose one, for example `--metric {known[0]}`." if known else "Return a loss from step.",
        )
    otherwise = f"Choose one, for example `--metric {known[0]}`." if known else "Return a loss from step."
    return BadSetting(
        f"the trainer's steps do not report '{metric}', but {listed or 'nothing'}.",
        did_you_mean(metric, known, otherwise),
    )
