"""Random split of a user's files into train, validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

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
