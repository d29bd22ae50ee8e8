"""Makes a batch of examples. What the dataset draws at random follows from the place of the examples alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch.utils.data import StackDataset, Subset, default_collate

from zoo_core.data.seeding import derive
from zoo_core.data.started_processes import ended_at_exit
from zoo_core.dataset import Batch, Examples, InMemory
from zoo_core.errors import BadSetting, RunFailed, ZooError, raised
from zoo_core.fingerprint.example_errors import as_zoo_error, is_interruption, sharing_error
from zoo_core.fingerprint.random_state import random_state_kept, seed_cpu

_NAMED = 4  # examples of a batch that an error names


class Part(NamedTuple):
    """The examples of one batch, and what seeds each of them: its position in an epoch, or in a split.

    The position is that in the epoch of all processes together. It differs for an example that comes twice in an epoch.
    """

    stream: str
    epoch: int
    positions: Sequence[int]
    indices: list[int]


@dataclass(frozen=True)
class BatchMaker:
    """Makes batches of ``examples``, in the training process or in a worker, with the same result.

    Before each example torch, NumPy and ``random`` are seeded with the run's seed and the position of the example; the
    random state of the process is kept, unless ``keeps_random_state`` is false. A dataset with ``__getitems__`` makes a
    batch at once, so it is seeded once for each batch, with its first position.
    """

    examples: Examples
    seed: int = 0
    split: str = "training"
    dataset: str = "the dataset"
    keeps_random_state: bool = True
    """Not needed where the random state is set again before it is used, and takes 0.1 ms a batch."""

    def __call__(self, part: Part, note: Callable[[int], None] | None = None) -> Batch:
        """The batch. ``note`` is called with the index of an example before it is loaded by itself.

        Raises:
            ZooError: if the dataset raises an error, with the dataset's name and the index of the example.
        """
        note = note or _note_nothing
        if type(self.examples) is InMemory:  # draws nothing; keeping the random state would take as long as the batch
            return self._batch(self._at_once(part), part)
        with random_state_kept() if self.keeps_random_state else nullcontext(), ended_at_exit():
            if loads_at_once(self.examples):
                self._seed(part, 0)
                return self._batch(self._at_once(part), part)
            return self._batch([self._example(part, number, note) for number in range(len(part.indices))], part)

    def describe(self, *indices: int) -> str:
        """The examples with these indices, as "training example 7"."""
        if len(indices) == 1:
            return f"{self.split} example {indices[0]}"
        more = ", …" if len(indices) > _NAMED else ""
        return f"{self.split} examples {', '.join(map(str, indices[:_NAMED]))}{more}"

    def _seed(self, part: Part, number: int) -> None:
        seed_cpu(derive(self.seed, part.stream, part.epoch, part.positions[number]))

    def _example(self, part: Part, number: int, note: Callable[[int], None]) -> Any:
        index = part.indices[number]
        note(index)
        self._seed(part, number)
        try:
            return self.examples[index]
        except BaseException as error:
            if is_interruption(error):
                raise
            raise self._error(error, index) from error

    def _at_once(self, part: Part) -> Any:
        try:
            return self.examples.__getitems__(part.indices)  # type: ignore[attr-defined]  # loads_at_once found it
        except BaseException as error:
            if is_interruption(error):
                raise
            raise self._error(error, *self._failing(part, error)) from error

    def _failing(self, part: Part, error: BaseException) -> list[int]:
        """The first example that fails by itself as the whole batch did, or all of them."""
        for number, index in enumerate(part.indices):
            self._seed(part, number)
            try:
                self.examples.__getitems__([index])  # type: ignore[attr-defined]
            except BaseException as again:
                if is_interruption(again):
                    raise
                if type(again) is type(error):
                    return [index]
        return part.indices

    def _error(self, error: BaseException, *indices: int) -> ZooError:
        return as_zoo_error(error, self.dataset, self.describe(*indices))

    def _batch(self, loaded: Any, part: Part) -> Batch:
        """Stack single examples; a batch made by the dataset's ``__getitems__`` is kept as it is."""
        if isinstance(loaded, Batch):
            return loaded
        if not isinstance(loaded, Mapping):
            odd = next((one for one in loaded if not isinstance(one, Mapping)), None)
            if odd is not None:
                raise BadSetting(
                    f"examples of {self.dataset} are of type {type(odd).__name__}, but should be mappings.",
                    "Return for example `{'image': image, 'label': label}`.",
                )
            loaded = self._stacked(loaded, part)
        return Batch(loaded)

    def _stacked(self, loaded: list[Any], part: Part) -> Any:
        try:
            return default_collate(loaded)
        except (RuntimeError, TypeError, KeyError, ValueError) as error:
            if is_interruption(error):
                raise
            raise sharing_error(error, self.dataset) or RunFailed(
                f"{self.describe(*part.indices)} of {self.dataset} cannot be combined into a batch: {raised(error)}.",
                "The examples of a batch need the same keys, and under each key tensors of the same shape, or numbers.",
            ) from error


def loads_at_once(examples: Examples) -> bool:
    """Whether the dataset makes whole batches.

    PyTorch's ``Subset`` and ``StackDataset`` have ``__getitems__``, but call the ``__getitem__`` of what they wrap.
    """
    if type(examples) is Subset:
        return loads_at_once(examples.dataset)  # type: ignore[arg-type]  # any map-style dataset
    if type(examples) is StackDataset:
        parts = examples.datasets.values() if isinstance(examples.datasets, dict) else examples.datasets
        return any(map(loads_at_once, parts))
    return getattr(examples, "__getitems__", None) is not None


def _note_nothing(index: int) -> None:
    pass
