"""What a run without a dataset has in place of examples and their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zoo_core.data.resident import DeviceCopies
from zoo_core.dataset import Batch, Example


class NoExamples:
    """The split of a recipe that has no dataset."""

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> Example:
        raise IndexError("the recipe has no dataset")


class EmptyBatches:
    """The batches of a run without a dataset, as :class:`.loader.Batches`: empty ones, without an end."""

    per_epoch = 0
    copies: DeviceCopies | None = None
    stopping: Callable[[], bool]

    def seek(self, position: int) -> None:
        """Every position has the same batch."""

    def close(self) -> None:
        """There are no workers."""

    def wait(self) -> Batch:
        """The next batch."""
        return next(self)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return Batch()
