"""Exponential moving average (EMA) of a module's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_ema(module: nn.Module, *, buffers: bool = False) -> AveragedModel:
    """A copy of ``module`` for :func:`update_ema`, which averages the buffers too if ``buffers`` is set."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.0), use_buffers=buffers)


@torch.no_grad()
def update_ema(ema: AveragedModel, module: nn.Module, step: int, decay: float) -> None:
    """``ema = d * ema + (1 - d) * module`` with ``d = min(decay, step / (9 + step))``; ``step`` counts from 1.

    The decay is warmed up because a full-length average after a few steps would mostly be the initial weights. The
    first average is the module itself. Unlike ``AveragedModel.update_parameters`` it reads no counter from the device,
    which would wait for all queued steps.
    """
    pairs: list[tuple[Tensor, Tensor]] = [*zip(ema.module.parameters(), module.parameters(), strict=True)]
    copied: list[tuple[Tensor, Tensor]] = [*zip(ema.module.buffers(), module.buffers(), strict=True)]
    if ema.use_buffers:
        pairs, copied = pairs + copied, []
    if step == 1:
        pairs, copied = [], pairs + copied
    average = get_ema_multi_avg_fn(min(decay, step / (9 + step)))
    for dtype in {one.dtype for one, _ in pairs}:
        averages, values = zip(*(pair for pair in pairs if pair[0].dtype == dtype), strict=True)
        average(averages, values, None)
    for one, value in copied:
        one.copy_(value)
    ema.n_averaged += 1
