"""The size to which an image is resized."""

import pytest

from zoo_plugins.common.image_size import target_size


@pytest.mark.parametrize(
    ("image_size", "size", "expected"),
    [
        ((), (30, 40), (30, 40)),
        ((10, 20), (30, 40), (10, 20)),
        ((10, 0), (30, 40), (10, 40)),
        ((0, 20), (30, 40), (30, 20)),
        ((15,), (30, 40), (15, 20)),
        ((15,), (40, 30), (20, 15)),
        ((60,), (30, 40), (60, 80)),
        ((10,), (30, 35), (10, 12)),
        ((10,), (30, 34), (10, 11)),
        ((1,), (3, 5000), (1, 1667)),
    ],
)
def test_both_sides_or_the_shorter_one_are_given(image_size, size, expected):
    assert target_size(image_size, *size) == expected
    assert target_size(image_size, *expected) == expected  # a second time changes nothing
