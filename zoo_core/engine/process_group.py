"""What the processes of a run exchange besides gradients, over the CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

# In the messages of gloo, whose errors have no type of their own. A test kills processes to hold them.
_CLOSED = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "store->get")


class ProcessGroup:
    """The processes of a run, of which there may be one. Nothing here waits for work on an accelerator."""

    def __init__(self, world: int) -> None:
        self.world = world
        self._group: Any = dist.new_group(backend="gloo") if world > 1 else None

    def broadcast_first(self, number: int) -> int:
        """The ``number`` of the first process for which it is not 0, or 0: all processes get the same."""
        if self.world == 1:
            return number
        return next((one for one in self._gathered(number) if one), 0)

    def all_equal(self, number: int) -> bool:
        """Whether ``number`` is the same in all processes."""
        return self.world == 1 or len(set(self._gathered(number))) == 1

    def smallest(self, number: int) -> int:
        """The smallest ``number`` of all processes."""
        return number if self.world == 1 else min(self._gathered(number))

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of the tensors of all processes, which are on the CPU."""
        total = tensor.clone()
        dist.all_reduce(total, group=self._group)
        return total

    def different(self, numbers: torch.Tensor) -> torch.Tensor:
        """Which of ``numbers`` (N,), on the CPU, are not the same in all processes: (N,) bool."""
        lowest, highest = numbers.clone(), numbers.clone()
        if self.world > 1:
            dist.all_reduce(lowest, dist.ReduceOp.MIN, group=self._group)
            dist.all_reduce(highest, dist.ReduceOp.MAX, group=self._group)
        return lowest != highest

    def lost(self, error: BaseException) -> bool:
        """Whether ``error`` means that another process has ended."""
        return self.world > 1 and tells_of_lost_process(error)

    def _gathered(self, number: int) -> list[int]:
        """The ``number`` of every process, by rank."""
        numbers = [torch.tensor([0]) for _ in range(self.world)]
        dist.all_gather(numbers, torch.tensor([number]), group=self._group)
        return [int(one) for one in numbers]


def tells_of_lost_process(error: BaseException | None) -> bool:
    """Whether ``error``, or what caused it, is the loss of a connection to another process."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, dist.DistError) or (
            isinstance(error, RuntimeError) and any(text in str(error) for text in _CLOSED)
        ):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False
