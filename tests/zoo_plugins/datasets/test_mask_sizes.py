"""A mask has the size of its image, and lies on it in the same direction."""

from pathlib import Path

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_sizes import refuse_other_size

IMAGE, MASK = Path("a.jpg"), Path("a.png")


def check(image_size, mask_size, image_turn=1, mask_turn=1):
    found = zoo.ImageFacts(1, *image_size, 3, None, False, image_turn)
    refuse_other_size(IMAGE, found, MASK, zoo.MaskFacts(*mask_size, (0, 1), "gray", {}, mask_turn))


def test_equal_sizes_fit():
    check((6, 8), (6, 8))
    check((6, 8), (6, 8), 6, 1)  # the sizes say that the image fits once it is turned


def test_other_sizes_are_refused_with_both():
    with pytest.raises(zoo.ZooError, match=r"a\.jpg is 6 x 8, but its mask a\.png is 8 x 6"):
        check((6, 8), (8, 6))


@pytest.mark.parametrize(("size", "turn"), [((6, 6), 6), ((6, 8), 3)])
def test_a_turn_of_one_of_them_is_refused_if_the_sizes_do_not_show_it(size, turn):
    with pytest.raises(zoo.BadFile, match=f"a.jpg has the EXIF orientation {turn}"):
        check(size, size, turn, 1)
