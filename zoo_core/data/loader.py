"""Batches by position: batch k of a run is the same however often the run was interrupted."""

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
    """An infinite iterator over the batches of one process, which can start at any step.

    The order of an epoch is ``order(generator)``, with a generator seeded by (seed, epoch). The last batch of an epoch
    is dropped if it is incomplete. Each batch of ``batch_size`` examples is split evenly among the ``world``
    processes; this one gets part ``rank``. Endless datasets are read in the order of their indices, and ``order`` is
    not called.

    Raises:
        BadSetting: if the batch size is not divisible by ``world * parts``, or larger than the dataset.
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
        divisor = world * parts
        if batch_size % divisor:
            factors = [f"processes: {world}"] * (world > 1) + [f"run.grad_accumulation_steps: {parts}"] * (parts > 1)
            nearest = max(1, batch_size // divisor) * divisor
            raise BadSetting(
                f"run.batch_size is {batch_size}, but should be divisible by {divisor} ({', '.join(factors)}).",
                f"Write `run.batch_size={nearest}`.",
            )
        self.examples = examples
        self.seed = seed
        self.workers = workers
        endless = getattr(examples, "endless", False)
        indices = _Consecutive(len(examples), batch_size) if endless else _Shuffled(order, seed)
        self.sampler = _EpochSampler(indices, batch_size, rank, world)
        self.position = 0
        self._iterator: Iterator[Batch] | None = None
        if not self.per_epoch:
            available = self.sampler.length
            raise BadSetting(
                f"run.batch_size is {batch_size}, but the dataset has only {available} training examples.",
                f"Write `run.batch_size={max(1, available)}` or less.",
            )

    @property
    def per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return self.sampler.per_epoch

    def seek(self, position: int) -> None:
        """Set the position of the next batch, counted from the start of the run."""
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
        # Without its own generator, a DataLoader draws the seeds of its workers from the global one.
        generator = torch.Generator().manual_seed(derive(self.seed, "workers", epoch))
        return loader(self.examples, batch_sampler=self.sampler, workers=self.workers, generator=generator)


def in_order(
    examples: Examples, batch_size: int, workers: int = 0, *, rank: int = 0, world: int = 1
) -> Iterable[Batch]:
    """Batches of all examples in their stored order; the last one may be smaller.

    Process ``rank`` of ``world`` gets the examples ``rank``, ``rank + world``, ``rank + 2 * world`` and so on.
    """
    indices = range(rank, len(examples), world)
    order = [list(indices[start : start + batch_size]) for start in range(0, len(indices), batch_size)]
    return loader(examples, batch_sampler=order, workers=workers, generator=torch.Generator().manual_seed(0))


def loader(
    examples: Examples, *, batch_sampler: Iterable[list[int]], workers: int, generator: torch.Generator
) -> Iterable[Batch]:
    """A DataLoader, or a plain generator where a DataLoader would only add overhead."""
    pin_memory = torch.accelerator.is_available()
    get_batch = getattr(examples, "__getitems__", None)
    if get_batch is not None and not workers and not pin_memory:
        return (_collate(get_batch(indices)) for indices in batch_sampler)
    return DataLoader(
        examples,  # type: ignore[arg-type]  # any map-style dataset works
        batch_sampler=batch_sampler,
        collate_fn=_collate,
        num_workers=workers,
        generator=generator,
        pin_memory=pin_memory,
        worker_init_fn=_init_worker if workers else None,
    )


def _init_worker(_worker: int) -> None:
    """Tie the lifetime of a worker to that of the training process.

    The worker ignores SIGINT and SIGTERM, which terminals and schedulers send to the whole process group, so that the
    training process can finish its step. It exits when the training process is gone; otherwise it would wait forever
    for its last batch to be taken.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # a worker process has a parent

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="zoo-parent-watch", daemon=True).start()


class _EpochSampler(Sampler[list[int]]):
    """Yields the indices of the batches of an epoch, beginning with batch ``start``."""

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
                f"Trainer.order returned {len(order)} indices for epoch {self.epoch}, but {self.length} before.",
                "Trainer.order should return the same number of indices for every epoch.",
            )
        local_size = self.batch_size // self.world
        for number in range(self.start, self.per_epoch):
            first = number * self.batch_size + self.rank * local_size
            yield order[first : first + local_size].tolist()


@dataclass
class _Shuffled:
    """The indices of an epoch in the order that the trainer chooses."""

    order: Order
    seed: int

    def __call__(self, epoch: int) -> Tensor:
        return self.order(torch.Generator().manual_seed(derive(self.seed, "order", epoch)))


@dataclass
class _Consecutive:
    """The indices of an epoch of an endless dataset, which continue after the last full batch of the previous one."""

    length: int
    batch_size: int

    def __call__(self, epoch: int) -> Tensor:
        first = epoch * (self.length - self.length % self.batch_size)
        return torch.arange(first, first + self.length)


def _collate(examples: Any) -> Batch:
    """Stack single examples; a batch made by the dataset's ``__getitems__`` is kept as it is."""
    batch = examples if isinstance(examples, Mapping) else default_collate(examples)
    if not isinstance(batch, Mapping):
        raise BadSetting(
            f"the dataset's examples are {type(examples[0]).__name__}, but should be mappings such as {{'image': …}}."
        )
    return batch if isinstance(batch, Batch) else Batch(batch)
