"""What the processes of a run say to one another besides gradients."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

_LETTERS = 128  # bytes of a word


class ProcessGroup:
    """The other processes, if there are any. What is said here waits for no accelerator's work."""

    def __init__(self, world: int) -> None:
        self.world = world
        self._group: Any = dist.new_group(backend="gloo") if world > 1 else None

    def broadcast_first(self, word: str) -> str:
        """The word of the first process that has one, or "": all of them stop at one step, or none does."""
        if self.world == 1:
            return word
        said = torch.tensor([bool(word)], dtype=torch.int32)
        dist.all_reduce(said, group=self._group)
        if not said:
            return ""
        letters = list(word.encode()[:_LETTERS])
        mine = torch.tensor(letters + [0] * (_LETTERS - len(letters)), dtype=torch.uint8)
        words = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(words, mine, group=self._group)
        return next(text for word in words if (text := _text(word)))

    def all_equal(self, number: int) -> bool:
        """Whether ``number`` is the same in all processes."""
        if self.world == 1:
            return True
        numbers = [torch.tensor([0]) for _ in range(self.world)]
        dist.all_gather(numbers, torch.tensor([number]), group=self._group)
        return len(set(map(int, numbers))) == 1

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' tensors, which lie on the CPU."""
        total = tensor.clone()
        dist.all_reduce(total, group=self._group)
        return total

    def lost(self, error: BaseException) -> bool:
        """Whether ``error`` says that one of them is no longer there."""
        if self.world == 1 or not isinstance(error, RuntimeError):
            return False
        return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def _text(letters: torch.Tensor) -> str:
    return bytes(letters.tolist()).rstrip(b"\0").decode(errors="ignore")
