"""Learning rate schedules."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR


class OneCycle(OneCycleLR):
    """``torch.optim.lr_scheduler.OneCycleLR`` (Smith & Topin 2018) for any ``total_steps``, including 0 and 1.

    Only the learning rate is changed. The momentum is constant, because optimizers take it as a number, which a CUDA
    graph of the step could not change. After ``total_steps`` steps the learning rate stays at its final value instead
    of raising an error.
    """

    def __init__(self, optimizer: Optimizer, max_lr: float, total_steps: int, warmup_fraction: float) -> None:
        total_steps = max(total_steps, 1)
        if warmup_fraction * total_steps == 1:  # a warmup of exactly one step makes OneCycleLR divide by zero
            warmup_fraction *= 1 + 1e-6
        super().__init__(optimizer, max_lr, total_steps=total_steps, pct_start=warmup_fraction, cycle_momentum=False)

    def step(self, epoch: int | None = None) -> None:
        if self.last_epoch < self.total_steps - 1:
            super().step(epoch)
