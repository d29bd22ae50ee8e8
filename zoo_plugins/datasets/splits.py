"""Random split of a user's files into train, validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

import zoo_core as zoo

T = TypeVar("T")


def split(
    items: Sequence[T], validation_fraction: float, test_fraction: float, seed: int
) -> tuple[list[T], list[T], list[T]]:
    """Shuffle at least three ``items`` with ``seed`` and split them into train, validation and test.

    Each split has at least one item.
    """
    order = np.random.default_rng(seed).permutation(len(items))
    shuffled = [items[index] for index in order]
    num_validation = min(max(1, round(validation_fraction * len(items))), len(items) - 2)
    num_test = min(max(1, round(test_fraction * len(items))), len(items) - 1 - num_validation)
    num_train = len(items) - num_validation - num_test
    test_start = num_train + num_validation
    return shuffled[:num_train], shuffled[num_train:test_start], shuffled[test_start:]


def split_the_rest(
    given: Mapping[str, Sequence[T]], validation_fraction: float, test_fraction: float, seed: int
) -> tuple[tuple[list[T], list[T], list[T]], list[str]]:
    """The given "train", "validation" and "test"; the empty ones are split off the first. Notes say how many.

    Raises:
        zoo.ZooError: if fewer items than splits would remain.
    """
    train, validation, test = (list(given[name]) for name in ("train", "validation", "test"))
    empty = [name for name, part in (("validation", validation), ("test", test)) if not part]
    if len(train) <= len(empty):
        raise zoo.ZooError(
            f"{len(train)} training examples are given, and none for {' and '.join(empty)}, which are split off them.",
            "Give more training examples, or some for each split.",
        )
    order = np.random.default_rng(seed).permutation(len(train))
    shuffled = [train[index] for index in order]
    notes = []
    for name, part, fraction in (("validation", validation, validation_fraction), ("test", test, test_fraction)):
        if not part:
            number = min(max(1, round(fraction * len(train))), len(shuffled) - 1 - (name == "validation" and not test))
            part += shuffled[-number:]
            del shuffled[-number:]
            notes.append(f"{number} of {len(train)} training examples are for {name}, which no split is given for")
    return (shuffled if empty else train, validation, test), notes
