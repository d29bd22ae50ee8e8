"""How far what one network gives is from what another gives for the same input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils import _pytree


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors of a tuple, list or mapping, however nested, in a fixed order."""
    return [leaf for leaf in _pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


def names_of(output: Any) -> list[str]:
    """What an exported file calls them: by the keys of a mapping, else ``output`` or ``output_0``, ``output_1``."""
    tensors = tensors_of(output)
    if isinstance(output, dict) and len(tensors) == len(output):
        return [str(key) for key in output]
    return ["output"] if len(tensors) == 1 else [f"output_{number}" for number in range(len(tensors))]


def largest_difference(wanted: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """The largest absolute difference; infinite where shapes differ, or one has NaN or infinity and the other not."""
    if [tuple(one.shape) for one in wanted] != [tuple(one.shape) for one in found]:
        return math.inf
    largest = 0.0
    for one, other in zip(wanted, found, strict=True):
        first, second = one.detach().double(), other.detach().double()
        apart = (first - second).abs().masked_fill((first == second) | (first.isnan() & second.isnan()), 0.0)
        if apart.numel():
            largest = max(largest, float(apart.nan_to_num(nan=math.inf).max()))
    return largest


def largest_number(tensors: Sequence[Tensor]) -> float:
    """The largest absolute value that is no infinity; 0 where there is none."""
    finite_metrics = (one[one.isfinite()].abs() for one in tensors)
    return max((float(one.max()) for one in finite_metrics if one.numel()), default=0.0)
