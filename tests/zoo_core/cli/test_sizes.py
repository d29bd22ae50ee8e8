"""Sizes of images on the command line."""

from __future__ import annotations

import click
import pytest

from zoo_core.cli.sizes import ImageSize


@pytest.mark.parametrize(
    ("text", "size"),
    [("480x560", (480, 560)), ("480×560", (480, 560)), ("1x2", (1, 2))],  # noqa: RUF001  # the multiplication sign
)
def test_a_size_is_converted_to_height_and_width(text, size):
    assert ImageSize().convert(text, None, None) == size
    assert ImageSize().convert(size, None, None) == size


@pytest.mark.parametrize("text", ["", "480", "480x", "0x5", "5x0", "-5x5", "5 x 5", "5x5x5"])
def test_an_invalid_size_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="such as 480x560"):
        ImageSize().convert(text, None, None)
