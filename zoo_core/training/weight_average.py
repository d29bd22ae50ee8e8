"""The exponential moving average (EMA) of a model's weights, for every trainer (``run.ema_decay``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from zoo_core.config.recipe import RunSettings

_WARM_UP = 9  # updates after which the decay is at most a half


class WeightAverage:
    """Averages the parameters of a model while it is trained, and puts the average in their place to be measured.

    ``average = d * average + (1 - d) * weights`` with the decay ``d``, which is at most ``n / (9 + n)`` at the n-th
    update if it is warmed up: a full-length average after a few steps would mostly be the initial weights. The first
    update copies the weights. Buffers are averaged or copied; those that are not floating-point numbers are copied.

    Args:
        model: the model, on its device and in its memory format.
        settings: ``ema_decay`` and the settings beside it.
    """

    def __init__(self, model: nn.Module, settings: RunSettings) -> None:
        self._decay, self._every, self._warms_up = settings.ema_decay, settings.ema_every, settings.ema_warmup
        self._updates = 0
        parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
        self._weights: dict[str, Tensor] = {name: one.detach() for name, one in {**parameters, **buffers}.items()}
        self._average = {name: one.clone() for name, one in self._weights.items()}
        # Those of a type together, since an operation takes as long as one for a small tensor.
        self._averaged: dict[torch.dtype, list[str]] = defaultdict(list)
        self._copied: list[str] = []
        for name, one in self._weights.items():
            if (one.is_floating_point() or one.is_complex()) and (name in parameters or settings.ema_buffers):
                self._averaged[one.dtype].append(name)
            else:
                self._copied.append(name)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after ``step`` steps, if it is updated after that step."""
        if step % self._every:
            return
        self._updates += 1
        if self._updates == 1:
            self._copy(self._average, self._weights, list(self._weights))
            return
        warm = self._updates / (_WARM_UP + self._updates) if self._warms_up else 1.0
        average = get_ema_multi_avg_fn(min(self._decay, warm))  # type: ignore[no-untyped-call]
        for names in self._averaged.values():
            average([self._average[name] for name in names], [self._weights[name] for name in names], None)
        self._copy(self._average, self._weights, self._copied)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the model has the averaged weights. Afterwards it has its own, at the same addresses."""
        if not self._updates:
            yield
            return
        kept = {name: one.clone() for name, one in self._weights.items()}
        self.apply()
        try:
            yield
        finally:
            self._copy(self._weights, kept, list(kept))

    def apply(self) -> None:
        """Give the model the averaged weights, if there is an average yet."""
        if self._updates:
            self._copy(self._weights, self._average, list(self._average))

    def state_dict(self) -> dict[str, Any]:
        """The average, by the names of the model's tensors, and the number of its updates."""
        return {"updates": self._updates, "average": dict(self._average)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            KeyError: if it is the average of another model.
        """
        average: Mapping[str, Tensor] = state["average"]
        for name, one in self._average.items():
            if name not in average or average[name].shape != one.shape:
                raise KeyError(f"the average of the model's {name} is missing or has another shape")
        self._copy(self._average, average, list(self._average))
        self._updates = int(state["updates"])

    @staticmethod
    @torch.no_grad()
    def _copy(into: Mapping[str, Tensor], values: Mapping[str, Tensor], names: list[str]) -> None:
        if names:
            torch._foreach_copy_([into[name] for name in names], [values[name] for name in names])
