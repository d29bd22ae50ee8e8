"""Averages of weights along a run, as several trainers publish them."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_ema(module: nn.Module, *, buffers: bool = False) -> AveragedModel:
    """A copy of ``module`` that :func:`update` brings nearer to it, with its buffers if asked."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.0), use_buffers=buffers)


def update_ema(average: AveragedModel, module: nn.Module, steps: int, decay: float) -> None:
    """Add what ``module`` is after ``steps`` steps to its exponential average.

    The decay begins small: a long average of few steps would mostly be the untrained network.
    """
    average.multi_avg_fn = get_ema_multi_avg_fn(min(decay, steps / (9 + steps)))
    average.update_parameters(module)
