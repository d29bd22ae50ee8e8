"""The size to which images are resized, which models store as their setting ``image_size``."""

from __future__ import annotations

from collections.abc import Sequence


def target_size(image_size: Sequence[int], height: int, width: int) -> tuple[int, int]:
    """The size to which an image is resized.

    ``image_size`` is (height, width), where 0 keeps the side, or (shorter side,), which keeps the aspect.
    """
    if not image_size:
        return height, width
    if len(image_size) == 2:
        return image_size[0] or height, image_size[1] or width
    shorter = min(height, width)
    scaled = [max(1, (2 * side * image_size[0] + shorter) // (2 * shorter)) for side in (height, width)]  # rounded
    return scaled[0], scaled[1]
