"""Batches by position: batch k of a run is the same however often the run was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import torch

from zoo_core.data.batch_maker import BatchMaker, Part
from zoo_core.data.parts import EndlessParts, EpochParts, EpochsParts, Order, Parts, Shuffled, StoredParts
from zoo_core.data.prefetch import Ahead, Transfer, pins
from zoo_core.data.resident import DeviceCopies
from zoo_core.data.workers import WorkerPool
from zoo_core.dataset import Batch, Examples, GeneratedExamples, InMemory
from zoo_core.errors import BadSetting, RunFailed

_MOST_WORKERS = 4  # unless run.workers asks for more


def _never() -> bool:
    return False


class Batches:
    """An infinite iterator over the batches of one process, which can start at any step.

    The order of an epoch is ``order(generator)``, with a generator seeded by (seed, epoch). The last batch of an epoch
    is dropped if it is incomplete. Each batch of ``batch_size`` examples is split evenly among the ``world``
    processes; this one gets part ``rank``. Endless datasets are read in the order of their indices, and ``order`` is
    not called. ``dataset`` names the dataset in errors. The batches are on the host, or on the device of ``copies``.

    If ``order_is_pure``, the order draws from its generator only and depends on nothing else. Batches of the next epoch
    are then made while those of this one are used, by workers that stay.

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
        workers: int | None = 0,
        parts: int = 1,
        dataset: str = "the dataset",
        copies: DeviceCopies | None = None,
        order_is_pure: bool = False,
    ) -> None:
        divisor = world * parts
        if batch_size % divisor:
            factors = [f"processes: {world}"] * (world > 1) + [f"run.grad_accumulation_steps: {parts}"] * (parts > 1)
            nearest = max(1, batch_size // divisor) * divisor
            raise BadSetting(
                f"run.batch_size is {batch_size}, but should be divisible by {divisor} ({', '.join(factors)}).",
                f"Write `run.batch_size={nearest}`.",
            )
        self.maker = BatchMaker(examples, seed, "training", dataset, keeps_random_state=False)  # each step is seeded
        self.workers, self.batch_size, self.rank, self.world = workers, batch_size, rank, world
        self.copies = copies
        self.endless = bool(getattr(examples, "endless", False))
        self.spans_epochs = order_is_pure and not self.endless and type(examples) is not InMemory
        self.order = Shuffled(order, seed)
        self.length = len(examples) if self.endless else len(self.order(0))
        self.position = 0
        self.stopping: Callable[[], bool] = _never
        """Whether the run stops; a batch that a worker makes is then no longer waited for."""
        self._iterator: Generator[Batch, None, None] | None = None
        if not self.per_epoch:
            raise BadSetting(
                f"run.batch_size is {batch_size}, but the dataset has only {self.length} training examples.",
                f"Write `run.batch_size={max(1, self.length)}` or less.",
            )

    @property
    def per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return self.length // self.batch_size

    def seek(self, position: int) -> None:
        """Set the position of the next batch, counted from the start of the run."""
        self.close()
        self.position = position

    def close(self) -> None:
        """End the workers, if there are any. The next batch starts them again."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            LoadingStopped: if ``stopping`` becomes true while a worker makes it; it can be asked for again.
        """
        begins = self.position % self.per_epoch == 0 and not self.endless and not self.spans_epochs
        if self._iterator is None or begins:
            self.close()
            self._iterator = load_on(self.copies, self.maker, self._parts(), self.workers, lambda: self.stopping())
        try:
            batch = next(self._iterator)
        except BaseException:
            self._iterator = None  # an iterator that has raised an error has no more batches
            raise
        self.position += 1
        return batch

    def wait(self) -> Batch:
        """The next batch, waited for even if the run stops."""
        self.close()
        self.stopping = _never
        return next(self)

    def _parts(self) -> Parts:
        """The batches from the next one on: to the end of its epoch, or without an end."""
        local_size = self.batch_size // self.world
        if self.endless:
            return EndlessParts(self.position, self.per_epoch, self.batch_size, self.rank * local_size, local_size)
        if self.spans_epochs:
            return EpochsParts(
                self.order, self.position, self.per_epoch, self.batch_size, self.rank * local_size, local_size
            )
        epoch, start = divmod(self.position, self.per_epoch)
        order = self.order(epoch)
        if len(order) < self.per_epoch * self.batch_size:
            raise RunFailed(
                f"Trainer.order returned {len(order)} indices for epoch {epoch}, but {self.length} before.",
                "Trainer.order should return the same number of indices for every epoch.",
            )
        starts = range(start * self.batch_size, self.per_epoch * self.batch_size, self.batch_size)
        return EpochParts(order, epoch, starts, self.rank * local_size, local_size)


def in_order(
    maker: BatchMaker,
    batch_size: int,
    workers: int | None = 0,
    *,
    rank: int = 0,
    world: int = 1,
    copies: DeviceCopies | None = None,
) -> Generator[Batch, None, None]:
    """Batches of all examples in their stored order; the last one may be smaller.

    Process ``rank`` of ``world`` gets the examples ``rank``, ``rank + world``, ``rank + 2 * world`` and so on.
    """
    indices = range(rank, len(maker.examples), world)
    return load_on(copies, maker, StoredParts(maker.split, indices, batch_size), workers)


def load_on(
    copies: DeviceCopies | None,
    maker: BatchMaker,
    parts: Parts,
    workers: int | None = 0,
    stopping: Callable[[], bool] = _never,
) -> Generator[Batch, None, None]:
    """The batches of ``parts`` on the device of ``copies``: gathered there, or copied there ahead of their step.

    Without ``copies`` they are on the host. ``workers`` is None for :func:`automatic_workers`.
    """
    if copies is None:
        yield from load(maker, parts, workers or 0, stopping)
        return
    resident = copies.find(maker.examples)
    if resident is not None and isinstance(parts, (EpochParts, StoredParts)) and resident.accepts(parts.order):
        yield from resident.batches(parts.order, parts.slices())
        return
    workers = automatic_workers(maker.examples) if workers is None else workers
    if pins(copies.device):
        yield from send(copies.device, maker, parts, workers, stopping)
    else:
        yield from load(maker, parts, workers, stopping)


def load(
    maker: BatchMaker, parts: Sequence[Part], workers: int = 0, stopping: Callable[[], bool] = _never
) -> Generator[Batch, None, None]:
    """The batches of ``parts`` on the host, made by this process or by ``workers`` others.

    Closing the generator ends the workers; so does the end of the process, and any error.
    """
    if not workers:
        yield from map(maker, _each(parts))
        return
    with WorkerPool(maker, parts, min(workers, len(parts)), stopping) as pool:
        yield from pool


def automatic_workers(examples: Examples) -> int:
    """Number of workers that load for an accelerator, which else waits: at most 4, none for examples in memory.

    Each process of a machine leaves one of its processor cores to the training.
    """
    if type(examples) is InMemory:
        return 0
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(_MOST_WORKERS, available // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 1))


def send(
    device: torch.device, maker: BatchMaker, parts: Sequence[Part], workers: int, stopping: Callable[[], bool] = _never
) -> Generator[Batch, None, None]:
    """The batches of ``parts`` on ``device``: each is copied, and rendered there, while the step before it runs."""
    examples, render = maker.examples, None
    if type(examples) is GeneratedExamples and examples.render is not None:
        render = examples.render
        maker = replace(maker, examples=GeneratedExamples(examples.make, examples.length, examples.endless))
    transfer = Transfer(device, render)
    ahead = Ahead(transfer)
    if workers:
        pool = WorkerPool(maker, parts, min(workers, len(parts)), lambda: stopping() or ahead.closed)
        with pool, closing(ahead):
            yield from ahead(iter(pool))
    elif type(examples) is InMemory:
        with closing(ahead):
            yield from ahead(map(maker, _each(parts)))
    else:
        # The dataset's code draws from the global generators, as the step does, so both run in this thread.
        for batch in map(maker, _each(parts)):
            yield transfer.finish(transfer.start(batch))


def _each(parts: Sequence[Part]) -> Iterator[Part]:
    return (parts[number] for number in range(len(parts)))
