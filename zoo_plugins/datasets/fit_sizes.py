"""What the tasks of ``zoo fit`` say of images and their classes, and the size that they choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import zoo_core as zoo
from zoo_plugins.datasets import own_files

_MOST_CLASSES = 12  # in a line


def describe_sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """Heights and widths in pixels, such as ``30 x 40`` or ``30 x 40 to 90 x 60``."""
    low, high = min(sizes), max(sizes)
    return f"{low[0]} x {low[1]}" + (f" to {high[0]} x {high[1]}" if low != high else "")


def describe_values(facts: Sequence[zoo.ImageFacts], planned: Mapping[str, int]) -> str:
    """Channels, bits and range of the values of images, such as ``gray, 16 bits, values 0 to 4095``."""
    channels = sorted({one.bands if one.channels == one.bands else min(one.channels, 3) for one in facts})
    colors = " and ".join({1: "gray", 3: "color"}.get(number, f"{number} channels") for number in channels)
    kinds = sorted({_kind(one.dtype) for one in facts})
    low, high = min(one.lowest for one in facts), max(one.highest for one in facts)
    text = f"{colors}, {' and '.join(kinds)}, values {low:.6g} to {high:.6g}"
    white = planned.get("max_value")
    return text if white is None else f"{text}, of which {white} is taken for white"


def _kind(dtype: str) -> str:
    return "floating-point" if dtype.startswith("float") else f"{dtype.lstrip('uint')} bits"


def describe_classes(classes: Sequence[str]) -> str:
    """What is said of each class, in one line; of many classes, of the first ones."""
    return own_files.listed(classes, _MOST_CLASSES)


def rounded(side: float, multiple: int) -> int:
    """The multiple, at least one, that is nearest to a side in pixels."""
    return max(multiple, round(side / multiple) * multiple)
