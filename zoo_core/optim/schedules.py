"""Learning rate schedules: a factor for every step, after a linear warm-up.

Each function takes the optimizer, the steps of the run and those of the warm-up, and the options of the schedule. The
learning rate of every parameter group is multiplied by the factor. After the last step it stays as it is.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from zoo_core.errors import BadSetting

_Shape = Callable[[float], float]
"""The factor for the fraction of the steps after the warm-up that are done, from 0 to 1."""
_OF_LENGTH = ("total_steps", "_schedule_phases")  # the attributes of OneCycleLR that follow from it
_ONE_CYCLE_WARMUP = 0.3  # of the run, as in torch.optim.lr_scheduler.OneCycleLR


def constant(optimizer: Optimizer, total_steps: int, warmup_steps: int) -> LambdaLR:
    """The learning rate stays the same."""
    return _after_warmup(optimizer, total_steps, warmup_steps, lambda done: 1.0)


def linear(optimizer: Optimizer, total_steps: int, warmup_steps: int, *, end: float = 0.0) -> LambdaLR:
    """A straight line.

    Parameters
    ----------
    end : float
        factor of the learning rate at the end of the run
    """
    return polynomial(optimizer, total_steps, warmup_steps, power=1.0, end=end)


def polynomial(
    optimizer: Optimizer, total_steps: int, warmup_steps: int, *, power: float = 2.0, end: float = 0.0
) -> LambdaLR:
    """A power of the fraction of the run that is left.

    Parameters
    ----------
    power : float
        exponent
    end : float
        factor of the learning rate at the end of the run
    """
    _require("end", end, end >= 0, "at least 0")
    _require("power", power, power > 0, "above 0")
    return _after_warmup(optimizer, total_steps, warmup_steps, lambda done: end + (1 - end) * (1 - done) ** power)


def cosine(optimizer: Optimizer, total_steps: int, warmup_steps: int, *, end: float = 0.0) -> LambdaLR:
    """Half a period of a cosine.

    Parameters
    ----------
    end : float
        factor of the learning rate at the end of the run
    """
    _require("end", end, end >= 0, "at least 0")
    return _after_warmup(optimizer, total_steps, warmup_steps, lambda done: _cosine(1, end, done))


def exponential(optimizer: Optimizer, total_steps: int, warmup_steps: int, *, end: float = 0.01) -> LambdaLR:
    """Multiplied by the same number in every step.

    Parameters
    ----------
    end : float
        factor of the learning rate at the end of the run
    """
    _require("end", end, end > 0, "above 0")
    return _after_warmup(optimizer, total_steps, warmup_steps, lambda done: end**done)


def inverse_sqrt(optimizer: Optimizer, total_steps: int, warmup_steps: int, *, timescale: int = 0) -> LambdaLR:
    """Falls with the square root of the number of steps, whatever the length of the run.

    Parameters
    ----------
    timescale : int
        steps after the warm-up that reduce the learning rate by the square root of 2; 0 for those of the warm-up
    """
    _require("timescale", timescale, timescale >= 0, "at least 0")
    scale = timescale or max(warmup_steps, 1)
    after = max(total_steps - warmup_steps, 1)
    return _after_warmup(optimizer, total_steps, warmup_steps, lambda done: (1 + done * after / scale) ** -0.5)


def step(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: int,
    *,
    milestones: tuple[float, ...] = (0.5, 0.75),
    gamma: float = 0.1,
) -> LambdaLR:
    """Multiplied by a number at every milestone.

    Parameters
    ----------
    milestones : tuple of float
        steps after which it is multiplied; below 1, fractions of the run
    gamma : float
        the number to multiply by
    """
    _require("milestones", list(milestones), all(one >= 0 for one in milestones), "at least 0 each")
    _require("gamma", gamma, gamma > 0, "above 0")
    steps = sorted(one * total_steps if one < 1 else one for one in milestones)
    return LambdaLR(optimizer, lambda done: _warm(done, warmup_steps) * gamma ** _number_reached(steps, done))


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: int,
    *,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> OneCycleLR:
    """A cosine up, in the warm-up or, if there is none, in 0.3 of the run, and a cosine down.

    Parameters
    ----------
    div_factor : float
        the learning rate divided by that of the first step
    final_div_factor : float
        the learning rate of the first step divided by that of the last step
    """
    for name, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
        _require(name, value, value > 0, "above 0")
    return _OneCycle(optimizer, total_steps, warmup_steps, div_factor, final_div_factor)


class _OneCycle(OneCycleLR):
    """``torch.optim.lr_scheduler.OneCycleLR`` for any number of steps, including 0 and 1.

    Only the learning rate is changed. The momentum is constant, because optimizers take it as a number, which a CUDA
    graph of the step could not change. After ``total_steps`` steps the learning rate stays at its final value instead
    of raising an error.
    """

    def __init__(
        self, optimizer: Optimizer, total_steps: int, warmup_steps: int, div_factor: float, final_div_factor: float
    ) -> None:
        total_steps = max(total_steps, warmup_steps, 1)
        fraction = warmup_steps / total_steps or _ONE_CYCLE_WARMUP
        if fraction * total_steps == 1:  # a warm-up of exactly one step makes OneCycleLR divide by zero
            fraction = fraction * (1 + 1e-6) if total_steps > 1 else _ONE_CYCLE_WARMUP
        super().__init__(
            optimizer,
            [group["lr"] for group in optimizer.param_groups],
            total_steps=total_steps,
            pct_start=fraction,
            cycle_momentum=False,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
        )

    def get_lr(self) -> list[float | Tensor]:
        if self.last_epoch >= self.total_steps:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()

    def state_dict(self) -> dict[str, Any]:
        """Without the length of the run, which may be another one when it is resumed, as for the other schedules."""
        return {name: value for name, value in super().state_dict().items() if name not in _OF_LENGTH}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({name: value for name, value in state_dict.items() if name not in _OF_LENGTH})


def wsd(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: int,
    *,
    decay: float = 0.2,
    shape: Literal["1-sqrt", "linear", "cosine"] = "1-sqrt",
    end: float = 0.0,
) -> LambdaLR:
    """Warm-up, stable, decay: constant until the last part of the run.

    Parameters
    ----------
    decay : float
        steps of the last part, at most those of the run; below 1, a fraction of the run
    shape : str
        how the learning rate falls in the last part: one minus the square root of the fraction done, or a line
    end : float
        factor of the learning rate at the end of the run
    """
    _require("decay", decay, decay > 0, "above 0")
    _require("end", end, end >= 0, "at least 0")
    length = max(decay * total_steps if decay < 1 else min(decay, total_steps), 1)
    shapes: dict[str, _Shape] = {
        "1-sqrt": lambda done: end + (1 - end) * (1 - math.sqrt(done)),
        "linear": lambda done: end + (1 - end) * (1 - done),
        "cosine": lambda done: _cosine(1, end, done),
    }

    def factor(done: int) -> float:
        fraction = min(max((done - (total_steps - length)) / length, 0.0), 1.0)
        return _warm(done, warmup_steps) * shapes[shape](fraction)

    return LambdaLR(optimizer, factor)


def _after_warmup(optimizer: Optimizer, total_steps: int, warmup_steps: int, shape: _Shape) -> LambdaLR:
    after = max(total_steps - warmup_steps, 1)

    def factor(done: int) -> float:
        if done < warmup_steps:
            return _warm(done, warmup_steps)
        return shape(min((done - warmup_steps) / after, 1.0))

    return LambdaLR(optimizer, factor)


def _warm(done: int, warmup_steps: int) -> float:
    """Rises in equal parts. The first step already has one of them: with a rate of zero it would do nothing."""
    return min((done + 1) / (warmup_steps + 1), 1.0)


def _cosine(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def _number_reached(milestones: Sequence[float], done: int) -> int:
    return bisect_right(milestones, done)


def _require(option: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise BadSetting(
            f"trainer.schedule_options.{option} is {value}, but should be {expected}.",
            "`zoo list schedules` shows all schedules, and `zoo info SCHEDULE` the options of one.",
        )
