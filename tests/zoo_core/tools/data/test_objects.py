"""Connected objects in masks, against a plain search."""

from __future__ import annotations

import numpy as np
import pytest

from zoo_core.tools.data.objects import object_sizes


def searched(mask: np.ndarray) -> dict[int, list[int]]:
    """The sizes of objects by following neighbors, pixel by pixel."""
    seen, found = np.zeros(mask.shape, bool), {}
    for start in np.ndindex(mask.shape):
        if seen[start]:
            continue
        seen[start], waiting, size = True, [start], 0
        while waiting:
            row, column = waiting.pop()
            size += 1
            for near in np.ndindex(3, 3):
                other = (row + near[0] - 1, column + near[1] - 1)
                inside = 0 <= other[0] < mask.shape[0] and 0 <= other[1] < mask.shape[1]
                if inside and not seen[other] and mask[other] == mask[start]:
                    seen[other] = True
                    waiting.append(other)
        found.setdefault(int(mask[start]), []).append(size)
    return {value: sorted(sizes) for value, sizes in found.items()}


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (2, 2), (13, 31), (40, 40)])
@pytest.mark.parametrize("seed", range(5))
def test_objects_are_those_that_a_search_finds(shape: tuple[int, int], seed: int) -> None:
    mask = np.random.default_rng(seed).integers(0, 2 + seed, shape)
    assert {value: sorted(sizes) for value, sizes in object_sizes(mask).items()} == searched(mask)


def test_a_long_thin_object_is_one() -> None:
    mask = np.zeros((41, 60), np.int64)
    mask[::2] = 1
    mask[1::4, -1] = mask[3::4, 0] = 1  # a line that winds through the whole image
    assert object_sizes(mask)[1] == [int(mask.sum())]
