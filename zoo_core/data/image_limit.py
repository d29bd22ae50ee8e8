"""The most pixels that an image may have: a small file can state a size that fills the memory when it is decoded."""

from __future__ import annotations

import os
from pathlib import Path

from zoo_core.errors import BadFile, BadSetting

MAX_PIXELS = "ZOO_MAX_PIXELS"  # environment variable


def max_pixels() -> int | None:
    """``$ZOO_MAX_PIXELS``, or the limit of Pillow, 89,478,485 unless a program has changed it; None is no limit.

    Pillow itself refuses images of twice its limit, which is therefore set to a limit that is given.

    Raises:
        BadSetting: if the variable is not a number.
    """
    from PIL import Image

    given = os.environ.get(MAX_PIXELS, "")
    if not given:
        return Image.MAX_IMAGE_PIXELS
    if not (given.isascii() and given.isdecimal() and len(given) < 19 and int(given)):
        raise BadSetting(
            f"{MAX_PIXELS} is {given!r}, but should be a number of pixels.", f"Write for example {MAX_PIXELS}=200000000"
        )
    Image.MAX_IMAGE_PIXELS = int(given)
    return int(given)


def refuse_too_large(path: Path, height: int, width: int) -> None:
    """Raise BadFile if an image of this size has too many pixels."""
    most = max_pixels()
    if most is not None and height * width > most:
        raise BadFile(
            f"{path} has {height:,} x {width:,} = {height * width:,} pixels, but at most {most:,} are read.",
            f"Divide it into tiles, or allow it: {MAX_PIXELS}={height * width}",
        )
