"""Compare the outputs of two networks for the same input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils import _pytree


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors in a nested structure of tuples, lists and mappings, in a fixed order."""
    return [leaf for leaf in _pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


def names_of(output: Any) -> list[str]:
    """The names of the outputs in an exported file: the keys of a mapping, else ``output`` or ``output_0``, …"""
    tensors = tensors_of(output)
    if isinstance(output, dict) and len(tensors) == len(output):
        return [str(key) for key in output]
    return ["output"] if len(tensors) == 1 else [f"output_{number}" for number in range(len(tensors))]


def largest_difference(expected: Sequence[Tensor], actual: Sequence[Tensor]) -> float:
    """The largest absolute difference; infinite if the shapes differ, or only one of two values is finite."""
    if [tuple(one.shape) for one in expected] != [tuple(one.shape) for one in actual]:
        return math.inf
    largest = 0.0
    for one, other in zip(expected, actual, strict=True):
        first, second = one.detach().double(), other.detach().double()
        difference = (first - second).abs().masked_fill((first == second) | (first.isnan() & second.isnan()), 0.0)
        if difference.numel():
            largest = max(largest, float(difference.nan_to_num(nan=math.inf).max()))
    return largest


def largest_magnitude(tensors: Sequence[Tensor]) -> float:
    """The largest finite absolute value; 0 if there is none."""
    finite = (one[one.isfinite()].abs() for one in tensors)
    return max((float(one.max()) for one in finite if one.numel()), default=0.0)
