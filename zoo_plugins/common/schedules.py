"""A schedule that several trainers have."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR


class OneCycle(OneCycleLR):
    """PyTorch's, for a run of any length: of one step or none, and of more than planned, with the last step size."""

    def __init__(self, optimizer: Optimizer, max_lr: float, total_steps: int, warmup_fraction: float) -> None:
        total_steps = max(total_steps, 1)
        if warmup_fraction * total_steps == 1:  # PyTorch's would divide by the no steps from the first to the top
            warmup_fraction *= 1 + 1e-6
        super().__init__(optimizer, max_lr, total_steps=total_steps, pct_start=warmup_fraction)

    def step(self, epoch: int | None = None) -> None:
        if self.last_epoch < self.total_steps - 1:
            super().step(epoch)
