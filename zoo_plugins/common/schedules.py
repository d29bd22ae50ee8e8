"""A schedule that several trainers have."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR


class OneCycle(OneCycleLR):
    """PyTorch's, for a run of any length: of one step or none, and of more than planned, with the last step size."""

    def __init__(self, optimizer: Optimizer, top: float, steps: int, warm_up: float) -> None:
        steps = max(steps, 1)
        if warm_up * steps == 1:  # PyTorch's would divide by the no steps from the first to the top
            warm_up *= 1 + 1e-6
        super().__init__(optimizer, top, total_steps=steps, pct_start=warm_up)

    def step(self, epoch: int | None = None) -> None:
        if self.last_epoch < self.total_steps - 1:
            super().step(epoch)
