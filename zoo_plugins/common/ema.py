"""Exponential moving average (EMA) of a module's weights."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_ema(module: nn.Module, *, buffers: bool = False) -> AveragedModel:
    """A copy of ``module`` for :class:`EmaUpdate`, which averages the buffers too if ``buffers`` is set.

    Otherwise, and if they are not floating-point numbers, buffers are copied.
    """
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.0), use_buffers=buffers)


class EmaUpdate:
    """Updates an average of ``module``.

    Unlike ``AveragedModel.update_parameters`` it looks up the tensors once, and reads no counter from the device, which
    would wait for all queued steps.
    """

    def __init__(self, ema: AveragedModel, module: nn.Module) -> None:
        self._ema = ema
        self._averaged: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
        self._copied: tuple[list[Tensor], list[Tensor]] = ([], [])
        for parameters in zip(ema.module.parameters(), module.parameters(), strict=True):
            self._add(*parameters, averaged=True)
        for buffers in zip(ema.module.buffers(), module.buffers(), strict=True):
            self._add(*buffers, averaged=ema.use_buffers and buffers[0].is_floating_point())

    @torch.no_grad()
    def __call__(self, step: int, decay: float) -> None:
        """``ema = d * ema + (1 - d) * module`` with ``d = min(decay, step / (9 + step))``; ``step`` counts from 1.

        The decay is warmed up because a full-length average after a few steps would mostly be the initial weights. The
        first average is the module itself.
        """
        average = get_ema_multi_avg_fn(min(decay, step / (9 + step)))
        for averages, values in self._averaged.values():
            if step == 1:
                torch._foreach_copy_(averages, values)
            else:
                average(averages, values, None)
        if self._copied[0]:
            torch._foreach_copy_(*self._copied)
        self._ema.n_averaged.add_(1)

    def _add(self, average: Tensor, value: Tensor, *, averaged: bool) -> None:
        averages, values = self._averaged[value.dtype] if averaged else self._copied
        averages.append(average)
        values.append(value)
