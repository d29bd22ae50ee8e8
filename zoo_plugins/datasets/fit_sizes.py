"""What the tasks of ``zoo fit`` say of images and their classes, and the size that they choose."""

from __future__ import annotations

from collections.abc import Sequence

from zoo_plugins.datasets import own_files

_MOST_CLASSES = 12  # in a line


def describe_sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """Heights and widths in pixels, such as ``30 x 40`` or ``30 x 40 to 90 x 60``."""
    low, high = min(sizes), max(sizes)
    return f"{low[0]} x {low[1]}" + (f" to {high[0]} x {high[1]}" if low != high else "")


def describe_classes(classes: Sequence[str]) -> str:
    """What is said of each class, in one line; of many classes, of the first ones."""
    return own_files.listed(classes, _MOST_CLASSES)


def rounded(side: float, multiple: int) -> int:
    """The multiple, at least one, that is nearest to a side in pixels."""
    return max(multiple, round(side / multiple) * multiple)
