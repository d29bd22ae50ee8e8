"""Batches whose position is a number: batch k of a run is the same, however often the run was stopped."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, default_collate

from zoo_core.data.seeding import derive
from zoo_core.dataset import Batch, Examples
from zoo_core.errors import BadSetting, RunFailed

Order = Callable[[torch.Generator], Tensor]


class Batches:
    """An endless iterator over the batches of one process, starting at any step.

    The order of an epoch is ``order(generator)``, with a generator seeded by (seed, epoch). The last partial batch of
    an epoch is left out. Of a batch of ``batch_size`` examples, process ``rank`` of ``world`` gets its share.
    Endless examples come by number, and ``order`` is not asked.
    """

    def __init__(
        self,
        examples: Examples,
        order: Order,
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        parts: int = 1,
    ) -> None:
        if batch_size % (world * parts):
            among = [f"{world} processes"] * (world > 1) + [f"{parts} parts (run.grad_accumulation_steps)"] * (
                parts > 1
            )
            near = max(1, batch_size // (world * parts)) * world * parts
            raise BadSetting(
                f"run.batch_size is {batch_size}, but should divide among {' with '.join(among)}.",
                f"Write `run.batch_size={near}`.",
            )
        self.examples = examples
        self.seed = seed
        self.workers = workers
        endless = getattr(examples, "endless", False)
        kind = _Onwards(len(examples), batch_size) if endless else _Shuffled(order, seed)
        self.sampler = _EpochSampler(kind, batch_size, rank, world)
        self.position = 0
        self._iterator: Iterator[Batch] | None = None
        if not self.per_epoch:
            available = self.sampler.length
            raise BadSetting(
                f"run.batch_size is {batch_size}, but the data set has only {available} training examples.",
                f"Write `run.batch_size={max(1, available)}` or less.",
            )

    @property
    def per_epoch(self) -> int:
        return self.sampler.per_epoch

    def seek(self, position: int) -> None:
        """Make ``position`` the number of the next batch."""
        self.position, self._iterator = position, None

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        epoch, offset = divmod(self.position, self.per_epoch)
        if self._iterator is None or offset == 0:
            self.sampler.epoch, self.sampler.start = epoch, offset
            self._iterator = iter(self._loader(epoch))
        batch = next(self._iterator)
        self.position += 1
        return batch

    def _loader(self, epoch: int) -> Iterable[Batch]:
        # A loader without a generator of its own would draw its workers' seeds from the global one.
        generator = torch.Generator().manual_seed(derive(self.seed, "workers", epoch))
        return loader(self.examples, batch_sampler=self.sampler, workers=self.workers, generator=generator)


def in_order(
    examples: Examples, batch_size: int, workers: int = 0, *, rank: int = 0, world: int = 1
) -> Iterable[Batch]:
    """Batches of all examples in their stored order, the last one perhaps smaller; of ``world`` processes, ``rank``
    gets every so many-th example."""
    mine = range(rank, len(examples), world)
    order = [list(mine[start : start + batch_size]) for start in range(0, len(mine), batch_size)]
    return loader(examples, batch_sampler=order, workers=workers, generator=torch.Generator().manual_seed(0))


def loader(
    examples: Examples, *, batch_sampler: Iterable[list[int]], workers: int, generator: torch.Generator
) -> Iterable[Batch]:
    pinned = torch.accelerator.is_available()
    whole = getattr(examples, "__getitems__", None)
    if whole is not None and not workers and not pinned:  # then PyTorch's loader would add nothing but its time
        return (_collate(whole(indices)) for indices in batch_sampler)
    return DataLoader(
        examples,  # type: ignore[arg-type]  # any map-style data set will do
        batch_sampler=batch_sampler,
        collate_fn=_collate,
        num_workers=workers,
        generator=generator,
        pin_memory=pinned,
        worker_init_fn=_live_as_parent if workers else None,
    )


def _live_as_parent(_worker: int) -> None:
    """A worker lives as long as its run. One whose run was killed would wait forever, memory in hand, for somebody to
    take its last batch; and one that heeded the signals that a terminal or a scheduler sends to a whole group of
    processes would take away the step that the run means to finish."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # a worker has one

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="zoo-parent-watch", daemon=True).start()


class _EpochSampler(Sampler[list[int]]):
    """The indices of an epoch's batches, from the batch ``start`` on."""

    def __init__(self, order: Callable[[int], Tensor], batch_size: int, rank: int, world: int) -> None:
        self.order, self.batch_size, self.rank, self.world = order, batch_size, rank, world
        self.epoch = self.start = 0
        self.length = len(order(0))

    @property
    def per_epoch(self) -> int:
        return self.length // self.batch_size

    def __len__(self) -> int:
        return self.per_epoch - self.start

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order(self.epoch)
        if len(order) < self.per_epoch * self.batch_size:
            raise RunFailed(
                f"the trainer's order of epoch {self.epoch} has {len(order)} examples, but began with {self.length}.",
                "Trainer.order should give as many indices in every epoch.",
            )
        share = self.batch_size // self.world
        for number in range(self.start, self.per_epoch):
            first = number * self.batch_size + self.rank * share
            yield order[first : first + share].tolist()


@dataclass
class _Shuffled:
    """The indices of an epoch, in the trainer's order."""

    order: Order
    seed: int

    def __call__(self, epoch: int) -> Tensor:
        return self.order(torch.Generator().manual_seed(derive(self.seed, "order", epoch)))


@dataclass
class _Onwards:
    """The numbers of an epoch of endless examples, which go on where the last epoch's whole batches ended."""

    length: int
    batch_size: int

    def __call__(self, epoch: int) -> Tensor:
        first = epoch * (self.length - self.length % self.batch_size)
        return torch.arange(first, first + self.length)


def _collate(examples: Any) -> Batch:
    """A batch that the data set made whole stays as it is; single examples are stacked."""
    batch = examples if isinstance(examples, Mapping) else default_collate(examples)
    if not isinstance(batch, Mapping):
        raise BadSetting(
            f"the data set's examples are {type(examples[0]).__name__}, but should be mappings such as {{'image': …}}."
        )
    return batch if isinstance(batch, Batch) else Batch(batch)
