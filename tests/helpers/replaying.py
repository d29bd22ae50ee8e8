"""A stand-in for CUDA graphs on machines without CUDA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Replaying:
    """Replays a function with the numbers of the trainer that it was recorded with, as a graph does.

    It cannot record a function without performing it, so the first replay does nothing.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.device, self.recorded = trainer, torch.device("cpu"), 0

    @contextmanager
    def beside(self) -> Iterator[None]:
        yield

    def __call__(self, function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        self.recorded += 1
        numbers = self._numbers()
        output, first = function(), True
        gradients = [(one, one.grad) for one in self.trainer.model.parameters()]

        def replay() -> None:
            nonlocal first
            if not first:
                now = self._numbers()
                vars(self.trainer).update(numbers)
                output.copy_(function())
                vars(self.trainer).update(now)
                for one, gradient in gradients:
                    if gradient is not None and one.grad is not None and one.grad is not gradient:
                        one.grad = gradient.copy_(one.grad)  # a graph writes to the same memory
            first = False

        return replay, output

    def _numbers(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self.trainer).items() if isinstance(value, (int, float, bool))}
