"""Whether a mask has the size of its image, and lies on it in the same direction."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo


def refuse_other_size(image: Path, found: zoo.ImageFacts, mask: Path, expected: zoo.MaskFacts) -> None:
    """Refuse a mask that does not lie on its image.

    Raises:
        zoo.ZooError: if the sizes differ, or one of them is turned on reading and the other is not.
    """
    if (found.height, found.width) != (expected.height, expected.width):
        error = zoo.ZooError(
            f"{image} is {found.height} x {found.width}, but its mask {mask} is {expected.height} x {expected.width}.",
            "Give a mask of the same size as its image.",
        )
        zoo.report_fault(error)
        return
    _refuse_unclear_orientation(image, found, mask, expected)


def _refuse_unclear_orientation(image: Path, found: zoo.ImageFacts, mask: Path, expected: zoo.MaskFacts) -> None:
    """Refuse a pair of which one is rotated or mirrored on reading, unless the sizes say that they fit then."""
    if found.orientation == expected.orientation:
        return
    transposed = found.orientation > 4 or expected.orientation > 4
    if transposed and found.height != found.width:
        return
    turned, other = (image, mask) if found.orientation != 1 else (mask, image)
    number = found.orientation if turned is image else expected.orientation
    error = zoo.BadFile(
        f"{turned} has the EXIF orientation {number}, by which it is turned on reading, and {other} has another.",
        "Save both upright, without an orientation, and check that the mask lies on its image.",
    )
    zoo.report_fault(error)
