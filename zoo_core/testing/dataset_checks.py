"""What is promised of a data set."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zoo_core.data.loader import loader
from zoo_core.dataset import Dataset, Examples
from zoo_core.errors import ZooError
from zoo_core.registry.resolve import build
from zoo_core.testing.check import Skip, Subject, check, require, settings_of

_SOME = 8


@check(
    "dataset",
    "A trainer finds what it asks for by name, and batches can be made of it.",
    "Let an example be a mapping from names to tensors or numbers: {'image': …, 'label': 3}.",
)
def examples_are_mappings(subject: Subject) -> None:
    for examples in _parts(subject):
        example = examples[0]
        require(isinstance(example, Mapping), f"an example is a {type(example).__name__}")
        for name, value in example.items():
            require(isinstance(value, (Tensor, int, float)), f"'{name}' is a {type(value).__name__}")
            if isinstance(value, Tensor) and value.is_floating_point():
                require(bool(value.isfinite().all()), f"'{name}' holds NaN or infinity")


@check(
    "dataset",
    "A run is the same whatever the number of workers.",
    "Draw whatever is random in an example from its number alone.",
)
def the_same_for_any_number_of_workers(subject: Subject) -> None:
    examples = _parts(subject)[0]
    numbers = list(range(min(_SOME, len(examples))))
    halves = [numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]]
    batches = {workers: _batches(examples, halves, workers) for workers in (0, 2)}
    for one, other in zip(batches[0], batches[2], strict=True):
        for name, value in one.items():
            require(torch.equal(value, other[name]), f"'{name}' differs between no workers and two")
    single = examples[numbers[-1]]
    for name, value in batches[0][-1].items():
        alone = torch.as_tensor(single[name]).to(value.dtype)
        require(torch.equal(alone, value[-1]), f"'{name}' differs between one example alone and in a batch")


@check(
    "dataset",
    "A figure can be told to come from the same data.",
    "Let fingerprint() depend on the data and the settings that shape them, and on nothing else.",
)
def the_fingerprint_is_always_the_same(subject: Subject) -> None:
    _parts(subject)
    one, other = (_build(subject).fingerprint() for _ in range(2))
    require(isinstance(one, str) and bool(one), f"the fingerprint is {one!r}")
    require(one == other, f"it is {one} once and {other} another time")


@check(
    "dataset",
    "What is measured was not trained on.",
    "Let evaluation() give other examples than train().",
)
def evaluation_is_apart_from_training(subject: Subject) -> None:
    train, evaluation = _parts(subject)
    seen = {_key(train[number]) for number in range(min(_SOME * 8, len(train)))}
    for number in range(min(_SOME * 8, len(evaluation))):
        require(
            _key(evaluation[number]) not in seen, f"evaluation example {number} is among the first to be trained on"
        )


def _build(subject: Subject) -> Dataset:
    dataset: Dataset = build("dataset", subject.name, settings_of(subject), subject.catalog)
    return dataset


def _parts(subject: Subject) -> tuple[Examples, Examples]:
    dataset = _build(subject)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it makes do with less, say, is a run's concern
            train, evaluation = dataset.train(), dataset.test()
    except ZooError as error:
        raise Skip(f"its data are not to be had here: {error.message}") from error
    if not len(train) or not len(evaluation):
        raise Skip("it has no examples here")
    return train, evaluation


def _batches(examples: Examples, numbers: list[list[int]], workers: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    given = loader(examples, batch_sampler=numbers, workers=workers, generator=generator)
    return [dict(batch) for batch in itertools.islice(given, len(numbers))]


def _key(example: Mapping[str, Any]) -> bytes:
    return b"".join(torch.as_tensor(value).contiguous().numpy().tobytes() for _, value in sorted(example.items()))
