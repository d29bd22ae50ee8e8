"""Optimizers that train other weights than those to evaluate and publish, such as schedule-free ones.

They have two methods, after the example of the package schedulefree: ``eval()`` puts averaged weights into the
parameters, and ``train()`` those to go on training with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


@contextmanager
def averages_in_place(optimizers: Iterable[Optimizer]) -> Iterator[None]:
    """Context in which the parameters hold the averaged weights of their optimizers.

    Afterwards they hold what they held before, bit for bit: ``train()`` would round.
    """
    changed: list[tuple[Any, bool]] = [(one, _training(one)) for one in optimizers if averages_weights(one)]
    kept = [(one, one.detach().clone()) for optimizer, _ in changed for one in _parameters(optimizer)]
    for optimizer, _ in changed:
        optimizer.eval()
    try:
        yield
    finally:
        for optimizer, training in changed:
            if training:
                optimizer.train()
        with torch.no_grad():
            for parameter, value in kept:
                parameter.copy_(value)


def publish_averages(optimizers: Iterable[Optimizer]) -> None:
    """Put the averaged weights into the parameters, after the last step."""
    for one in optimizers:
        if averages_weights(one):
            one.eval()  # type: ignore[attr-defined]


def averages_weights(one: Any) -> bool:
    """Whether ``one``, an optimizer, trains other weights than those to evaluate."""
    return all(callable(getattr(one, name, None)) for name in ("train", "eval"))


def _training(optimizer: Any) -> bool:
    return all(group.get("train_mode", True) for group in optimizer.param_groups)


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [one for group in optimizer.param_groups for one in group["params"]]
