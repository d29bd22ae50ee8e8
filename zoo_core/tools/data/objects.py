"""Connected objects in masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def object_sizes(mask: NDArray[np.int64]) -> dict[int, list[int]]:
    """For each value of a mask (H, W), the pixels of each object: of connected pixels, also at corners."""
    labels = _components(mask)
    roots, first, counts = np.unique(labels, return_index=True, return_counts=True)
    values = mask.reshape(-1)[first]
    return {int(value): counts[values == value].tolist() for value in np.unique(values)} if len(roots) else {}


def _components(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each pixel (H * W,), the same for those of one object: the smallest index of its pixels.

    Each pixel takes the smallest number of its neighbors of the same value; jumping from number to number makes that a
    few rounds, also for objects that are long and thin.
    """
    height, width = mask.shape
    numbers = np.arange(height * width).reshape(height, width)
    pairs = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        there = (slice(down, height), slice(max(0, right), width + min(0, right)))
        same = mask[here] == mask[there]
        pairs.append(np.stack([numbers[here][same], numbers[there][same]]))
    first, second = np.concatenate(pairs, axis=1)
    parents = numbers.reshape(-1).copy()
    while True:
        low, high = parents[first], parents[second]
        differs = low != high
        if not differs.any():
            return parents
        first, second, low, high = first[differs], second[differs], low[differs], high[differs]
        np.minimum.at(parents, np.maximum(low, high), np.minimum(low, high))
        while not np.array_equal(parents, jumped := parents[parents]):
            parents = jumped
