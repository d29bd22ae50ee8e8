"""Exponential moving average (EMA) of a module's weights."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_ema(module: nn.Module, *, buffers: bool = False) -> AveragedModel:
    """A copy of ``module`` for :func:`update_ema`, which averages the buffers too if ``buffers`` is set."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.0), use_buffers=buffers)


def update_ema(ema: AveragedModel, module: nn.Module, step: int, decay: float) -> None:
    """``ema = d * ema + (1 - d) * module`` with ``d = min(decay, step / (9 + step))``; ``step`` counts from 1.

    The decay is warmed up because a full-length average after a few steps would mostly be the initial weights.
    """
    ema.multi_avg_fn = get_ema_multi_avg_fn(min(decay, step / (9 + step)))
    ema.update_parameters(module)
