"""A user's files dealt out to training, validation and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def split(
    items: Sequence[T], validation_fraction: float, test_fraction: float, seed: int
) -> tuple[list[T], list[T], list[T]]:
    """At least three ``items`` in an order that ``seed`` shuffles: for training, validation and evaluation.

    Each gets one at least.
    """
    order = np.random.default_rng(seed).permutation(len(items))
    shuffled = [items[number] for number in order]
    validation = min(max(1, round(validation_fraction * len(items))), len(items) - 2)
    evaluation = min(max(1, round(test_fraction * len(items))), len(items) - 1 - validation)
    rest = len(items) - validation - evaluation
    return shuffled[:rest], shuffled[rest : rest + validation], shuffled[rest + validation :]
