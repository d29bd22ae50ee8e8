"""The checks of a dataset."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_core.dataset import Dataset, Examples
from zoo_core.errors import ZooError, describe_type
from zoo_core.registry.resolve import build
from zoo_core.testing.check import Skip, Subject, check, require
from zoo_core.testing.component_settings import settings_of
from zoo_core.training.assemble import fingerprint_of

_NUM_EXAMPLES = 8


@check(
    "dataset",
    "Examples are mappings from names to tensors or numbers, so that they can be collated into batches.",
    "Return a mapping for each example: {'image': …, 'label': 3}.",
)
def examples_are_mappings(subject: Subject) -> None:
    for examples in splits_of(subject):
        example = examples[0]
        require(isinstance(example, Mapping), f"an example is {describe_type(example)}")
        for name, value in example.items():
            require(isinstance(value, (Tensor, int, float)), f"'{name}' is {describe_type(value)}")
            if isinstance(value, Tensor) and value.is_floating_point():
                require(bool(value.isfinite().all()), f"'{name}' has NaN or infinite values")


@check(
    "dataset",
    "The fingerprint is 64 hexadecimal digits and reproducible, so that data are the same if their fingerprints are.",
    "Compute fingerprint() with zoo.fingerprint_files or zoo.fingerprint_tensors, from the data and the settings that "
    "affect them, and from nothing else.",
)
def fingerprint_is_reproducible(subject: Subject) -> None:
    splits_of(subject)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        prints = []
        for seed in (1, 2):
            torch.default_generator.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            prints.append(fingerprint_of(_build(subject)))
    one, other = prints
    require(bool(re.fullmatch("[0-9a-f]{64}", str(one))), f"the fingerprint is {one!r}")
    require(one == other, f"the fingerprint is {one} and then {other}")


@check(
    "dataset",
    "The fingerprint does not change the random state, so that looking at the data does not change a run.",
    "Use generators of your own in fingerprint() and in what it calls.",
)
def fingerprint_keeps_the_random_state(subject: Subject) -> None:
    splits_of(subject)
    dataset = _build(subject)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        before = _random_state()
        dataset.fingerprint()
    require(_random_state() == before, "it draws random numbers from a global generator")


@check(
    "dataset",
    "The train and test splits have no examples in common.",
    "Return different examples from train() and test().",
)
def train_and_test_splits_are_disjoint(subject: Subject) -> None:
    train, test = splits_of(subject)
    train_keys = {_key(train[index]) for index in range(min(_NUM_EXAMPLES * 8, len(train)))}
    for index in range(min(_NUM_EXAMPLES * 8, len(test))):
        require(_key(test[index]) not in train_keys, f"test example {index} is one of the first train examples")


def _build(subject: Subject) -> Dataset:
    dataset: Dataset = build("dataset", subject.name, settings_of(subject), subject.catalog)
    return dataset


def splits_of(subject: Subject) -> tuple[Examples, Examples]:
    """The train and the test split."""
    dataset = _build(subject)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # for example that a subset of the data is used
            train, test = dataset.train(), dataset.test()
    except ZooError as error:
        raise Skip(f"its data are not available: {error.message}") from error
    if not len(train) or not len(test):
        raise Skip("a split is empty")
    return train, test


def _random_state() -> tuple[Any, ...]:
    _, keys, *position = np.random.get_state(legacy=True)
    return torch.get_rng_state().tolist(), list(keys), position, random.getstate()


def _key(example: Mapping[str, Any]) -> bytes:
    return b"".join(torch.as_tensor(value).contiguous().numpy().tobytes() for _, value in sorted(example.items()))
