"""Which examples the batches consist of: of a run, epoch after epoch, or of a split in stored order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from zoo_core.data.batch_maker import Part
from zoo_core.data.seeding import derive
from zoo_core.fingerprint.random_state import random_state_kept, seed_cpu

Order = Callable[[torch.Generator], Tensor]


@dataclass(frozen=True)
class EpochParts(Sequence[Part]):
    """The batches of an epoch: ``size`` examples each, beginning ``first`` after those of ``starts``."""

    order: Tensor
    epoch: int
    starts: range
    first: int
    size: int

    def __len__(self) -> int:
        return len(self.starts)

    def slices(self) -> Iterator[slice]:
        """Of ``order``, the examples of each batch."""
        return (slice(start + self.first, start + self.first + self.size) for start in self.starts)

    def __getitem__(self, number: int) -> Part:  # type: ignore[override]  # no slices
        start = self.starts[number] + self.first
        positions = range(start, start + self.size)
        return Part("example", self.epoch, positions, self.order[start : start + self.size].tolist())


class EpochsParts(Sequence[Part]):
    """The batches from batch ``first`` of the run on, epoch after epoch."""

    def __init__(self, order: Shuffled, first: int, per_epoch: int, batch_size: int, offset: int, size: int) -> None:
        self._first, self._per_epoch = first, per_epoch
        self._batch_size, self._offset, self._size = batch_size, offset, size
        self._of_epoch = lru_cache(maxsize=2)(order.pure)

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> Part:  # type: ignore[override]  # no slices
        epoch, batch = divmod(self._first + number, self._per_epoch)
        starts = range(batch * self._batch_size, (batch + 1) * self._batch_size, self._batch_size)
        return EpochParts(self._of_epoch(epoch), epoch, starts, self._offset, self._size)[0]


@dataclass(frozen=True)
class StoredParts(Sequence[Part]):
    """The batches of a split in stored order."""

    split: str
    indices: range
    batch_size: int

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    @property
    def order(self) -> Tensor:
        return torch.arange(self.indices.start, self.indices.stop, self.indices.step)

    def slices(self) -> Iterator[slice]:
        """Of ``order``, the examples of each batch."""
        return (slice(start, start + self.batch_size) for start in range(0, len(self.indices), self.batch_size))

    def __getitem__(self, number: int) -> Part:  # type: ignore[override]  # no slices
        indices = self.indices[number * self.batch_size : (number + 1) * self.batch_size]
        return Part(f"{self.split} example", 0, indices, list(indices))


@dataclass(frozen=True)
class EndlessParts(Sequence[Part]):
    """The batches of an endless dataset from batch ``first`` of the run on, which workers make without a break.

    An epoch begins with the example after the last full batch of the one before it.
    """

    first: int
    per_epoch: int
    batch_size: int
    offset: int
    size: int

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> Part:  # type: ignore[override]  # no slices
        epoch, batch = divmod(self.first + number, self.per_epoch)
        start = batch * self.batch_size + self.offset
        first = epoch * self.per_epoch * self.batch_size + start
        positions, indices = range(start, start + self.size), range(first, first + self.size)
        return Part("example", epoch, positions, list(indices))


Parts = EpochParts | EpochsParts | EndlessParts | StoredParts


@dataclass
class Shuffled:
    """The indices of an epoch in the order that the trainer chooses.

    The global generators are seeded as well, for an order that draws from them.
    """

    order: Order
    seed: int

    def pure(self, epoch: int) -> Tensor:
        """The same for an order that draws from its generator only; it may be called in any thread."""
        return torch.as_tensor(self.order(torch.Generator().manual_seed(derive(self.seed, "order", epoch))))

    def __call__(self, epoch: int) -> Tensor:
        derived = derive(self.seed, "order", epoch)
        with random_state_kept():
            seed_cpu(derived)
            return torch.as_tensor(self.order(torch.Generator().manual_seed(derived)))
