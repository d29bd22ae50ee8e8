"""Exponential moving average (EMA) of a module's weights."""

from __future__ import annotations

from itertools import compress

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_ema(module: nn.Module, *, buffers: bool = False) -> AveragedModel:
    """A copy of ``module`` for :func:`update_ema`, which averages the buffers too if ``buffers`` is set.

    Otherwise, and if they are not floating-point numbers, buffers are copied.
    """
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.0), use_buffers=buffers)


@torch.no_grad()
def update_ema(ema: AveragedModel, module: nn.Module, step: int, decay: float) -> None:
    """``ema = d * ema + (1 - d) * module`` with ``d = min(decay, step / (9 + step))``; ``step`` counts from 1.

    The decay is warmed up because a full-length average after a few steps would mostly be the initial weights. The
    first average is the module itself. Unlike ``AveragedModel.update_parameters`` it reads no counter from the device,
    which would wait for all queued steps.
    """
    averages, values = list(ema.module.parameters()), list(module.parameters())
    copies, originals = list(ema.module.buffers()), list(module.buffers())
    floating = [ema.use_buffers and one.is_floating_point() for one in copies]  # counters are not averaged
    averages, values = [*averages, *compress(copies, floating)], [*values, *compress(originals, floating)]
    rest = [not one for one in floating]
    copies, originals = list(compress(copies, rest)), list(compress(originals, rest))
    if step == 1:
        averages, values, copies, originals = [], [], [*averages, *copies], [*values, *originals]
    average = get_ema_multi_avg_fn(min(decay, step / (9 + step)))
    for dtype in {one.dtype for one in averages}:
        chosen = [one.dtype == dtype for one in averages]
        average(list(compress(averages, chosen)), list(compress(values, chosen)), None)
    if copies:
        torch._foreach_copy_(copies, originals)
    ema.n_averaged += 1
