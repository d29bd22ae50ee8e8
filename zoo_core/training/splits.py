"""The splits of a run's dataset, as batches in stored order for evaluation and previews."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import in_order
from zoo_core.data.no_data import NoExamples
from zoo_core.data.resident import DeviceCopies
from zoo_core.dataset import Batch, Examples


@dataclass(frozen=True)
class Splits:
    """Batches of the training, validation and test examples.

    Without a dataset there are none: the batches of previews are then one empty batch, and the others none at all.

    In a distributed evaluation each of ``world`` processes gets other validation and test examples; otherwise each
    gets all of them.
    """

    train: Examples
    validation: Examples
    test: Examples
    batch_size: int
    """Of all processes together."""
    workers: int | None = 0
    rank: int = 0
    world: int = 1
    distributed: bool = False
    seed: int = 0
    """Of the run. What a dataset draws for an example follows from the seed, the split and the example's index."""
    dataset: str = "the dataset"
    """What errors call the dataset."""
    copies: DeviceCopies | None = None
    """Where examples are kept on the device; without it, batches are on the host."""

    def can_evaluate(self, split: str) -> bool:
        """Whether there is anything to evaluate: examples of the split, or a trainer that needs none."""
        examples = getattr(self, split)
        return isinstance(examples, NoExamples) or len(examples) > 0

    def train_batches(self) -> Iterable[Batch]:
        """All training examples, in stored order."""
        return self._in_order(self.train, "training", self.batch_size // self.world)

    def validation_batches(self) -> Iterable[Batch]:
        """The validation examples of this process."""
        return self._evaluated(self.validation, "validation")

    def test_batches(self) -> Iterable[Batch]:
        """The test examples of this process."""
        return self._evaluated(self.test, "test")

    def preview_batches(self) -> Iterable[Batch]:
        """All validation examples; the first batch is the one that previews show, which needs no workers."""
        if isinstance(self.validation, NoExamples):
            return [Batch()]
        return self._in_order(self.validation, "validation", self.batch_size, workers=0)

    def _evaluated(self, examples: Examples, split: str) -> Iterable[Batch]:
        rank, world = (self.rank, self.world) if self.distributed else (0, 1)
        return self._in_order(examples, split, self.batch_size // self.world, rank, world)

    def _in_order(
        self,
        examples: Examples,
        split: str,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        workers: int | None = None,
    ) -> Iterable[Batch]:
        maker = BatchMaker(examples, self.seed, split, self.dataset)
        workers = self.workers if workers is None else workers
        return in_order(maker, batch_size, workers, rank=rank, world=world, copies=self.copies)


@dataclass(frozen=True)
class OnDevice:
    """Batches that are moved to the device as they are iterated, which may be done again."""

    batches: Callable[[], Iterable[Batch]]
    to_device: Callable[[Batch], Batch]

    def __iter__(self) -> Iterator[Batch]:
        return map(self.to_device, self.batches())
