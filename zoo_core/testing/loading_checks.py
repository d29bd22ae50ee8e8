"""The checks of how examples are loaded: in any number of processes, and after a resume, they are the same."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from zoo_core.data.batch_maker import BatchMaker, Part, loads_at_once
from zoo_core.data.loader import Batches, load
from zoo_core.data.seeding import derive
from zoo_core.dataset import Batch, Examples
from zoo_core.fingerprint.random_state import random_state_kept, seed_cpu
from zoo_core.testing.check import Failed, Subject, check, require
from zoo_core.testing.dataset_checks import splits_of
from zoo_core.testing.example_state import what_changes
from zoo_core.testing.recipe_checks import built, skip_without_dataset

_NUM_EXAMPLES = 8
_NUM_BATCHES = 4
_HINT = (
    "Draw from the global functions of torch, numpy.random or random, which zoo seeds before each example. Create a "
    "generator of your own in __getitem__, for example np.random.default_rng(torch.initial_seed())."
)


@check(
    "dataset",
    "Examples do not depend on the number of loader workers or on which were loaded before, so that a run does not.",
    _HINT,
)
def examples_are_independent_of_workers(subject: Subject) -> None:
    for examples, split in zip(splits_of(subject), ("training", "test"), strict=True):
        maker = BatchMaker(examples, 0, split)
        indices = list(range(min(_NUM_EXAMPLES, len(examples))))
        half = max(1, len(indices) // 2)
        parts = [_part(indices[start : start + half]) for start in range(0, len(indices), half)]
        first = _named(split, load(maker, parts))
        _compare(first, _named(split, load(maker, parts)), "when it is loaded again", examples)
        _compare(first, _named(split, load(maker, parts, 2)), "between 0 and 2 workers", examples)
        _compare_single(maker, indices[-1])


@check(
    "recipe",
    "A run gets the same batches from its loader workers, without workers, and after a resume.",
    _HINT,
)
def batches_are_independent_of_workers_and_resumes(subject: Subject) -> None:
    skip_without_dataset(subject)
    recipe = subject.catalog.recipe(subject.name).with_overrides(subject.overrides)
    workers = int((recipe.values.get("run") or {}).get("workers") or 2)
    expected: dict[str, Batch] = {}
    for count in (0, workers):
        with built(subject, overrides=(f"run.workers={count}",)) as loop:
            batches, validation = loop.batches, loop.splits.validation
            assert isinstance(batches, Batches)  # noqa: S101  # there is a dataset
            trained, measured = _from_step(batches, 0), _named("validation", loop.splits.validation_batches())
            expected = expected or trained | measured
            between = f"between 0 and {workers} workers"
            _compare(expected, trained, between, batches.maker.examples)
            _compare(expected, _from_step(batches, _NUM_BATCHES // 2), "after a resume", batches.maker.examples)
            _compare(expected, measured, between, validation)
            batches.close()


def _part(indices: list[int]) -> Part:
    return Part("check", 0, indices, indices)


def _from_step(batches: Batches, step: int) -> dict[str, Batch]:
    batches.seek(step)
    return _named("training", batches, step)


def _named(split: str, batches: Iterable[Batch], first: int = 0) -> dict[str, Batch]:
    """The batches up to ``_NUM_BATCHES``, by what messages call them."""
    numbers = range(first, _NUM_BATCHES)
    return {f"{split} batch {number}": batch for number, batch in zip(numbers, batches, strict=False)}


def _compare(expected: dict[str, Batch], given: dict[str, Batch], between: str, examples: Examples) -> None:
    for where, batch in given.items():
        for name, value in expected[where].items():
            if not _equal(value, batch.get(name)):
                raise Failed(f"'{name}' of {where} differs {between}: {_reason(examples)}")


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same_nan = (one != one) & (other != other) if one.shape == other.shape else torch.tensor(False)
        return one.shape == other.shape and bool(((one == other) | same_nan).all())
    return bool(one == other)


def _reason(examples: Examples) -> str:
    """Which state the dataset keeps between examples."""
    changed = what_changes(examples, lambda: BatchMaker(examples)(_part([0])))
    if changed:
        return f"loading an example changes {', '.join(f'its {name}' for name in changed[:3])}"
    return "it depends on something that zoo does not seed, such as np.random.default_rng(), os.urandom or the time"


def _compare_single(maker: BatchMaker, index: int) -> None:
    """An example by itself is the one in a batch, unless it is augmented at random."""
    examples, part = maker.examples, _part([index])
    if not loads_at_once(examples):
        return
    batch, other = maker(part), BatchMaker(examples, 1, maker.split)(part)
    if any(not _equal(value, other[name]) for name, value in batch.items()):
        return
    with random_state_kept():
        seed_cpu(derive(0, "check", 0, index))
        single = examples[index]
    for name, value in batch.items():
        unbatched = torch.as_tensor(single[name]).to(value.dtype)
        require(torch.equal(unbatched, value[0]), f"'{name}' differs between a single example and a batch")
