"""Weights of the classes in the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

import zoo_core as zoo


def class_weights(
    setting: Literal["balanced"] | Sequence[float], class_counts: Sequence[int], num_classes: int | None
) -> Tensor | None:
    """The weights (K,), or None for equal ones.

    "balanced": inversely proportional to the number of training images, with a mean of 1 over the images (King & Zeng
    2001, and scikit-learn); 1 for a class without images.

    ``num_classes`` is None if the model does not say how many it has.

    Raises:
        zoo.ZooError: if there is not one weight for each class, or the numbers are not known.
    """
    if not setting:
        return None
    if setting == "balanced" and not class_counts:
        raise zoo.ZooError(
            "trainer.class_weights is balanced, but the dataset does not say how many images each class has.",
            "Give the numbers, `trainer.class_counts=[900,100]`, or the weights, `trainer.class_weights=[0.5,5]`.",
        )
    weights = _balanced(class_counts, num_classes) if setting == "balanced" else [float(value) for value in setting]
    if num_classes is not None and len(weights) != num_classes:
        name = "class_counts" if setting == "balanced" else "class_weights"
        raise zoo.ZooError(
            f"trainer.{name} has {len(weights)} values, but the model has {num_classes} classes.",
            "Give one value for each class, or none.",
        )
    return torch.tensor(weights)


def _balanced(counts: Sequence[int], num_classes: int | None) -> list[float]:
    total, occurring = sum(counts), sum(count > 0 for count in counts)
    weights = [total / (occurring * count) if count else 1.0 for count in counts]
    return weights + [1.0] * ((num_classes or 0) - len(weights))  # a model may have more classes than the data
