"""Decode segmentation masks: the value of each pixel as it is stored, with what a palette says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo_core.data.image_decoding import open_image, orientation, refuse_animation
from zoo_core.errors import BadFile

Color = tuple[int, int, int]
MaskKind = Literal["gray", "1-bit", "palette", "gray palette"]
_HINT = "Save it as a PNG with a palette (mode P) or in grayscale (mode L)."


@dataclass(frozen=True)
class DecodedMask:
    """The values (H, W) int64 of a mask, and for a palette the colors of the values that occur."""

    values: NDArray[np.int64]
    kind: MaskKind
    colors: dict[int, Color]
    orientation: int = 1


def decode_mask(path: Path) -> DecodedMask:
    """Decode a mask file; see `zoo.read_mask`.

    Raises:
        BadFile: if it can't be read, or its pixels are not single values that were stored exactly.
    """
    from PIL import ImageOps

    with open_image(path, hint=_HINT) as image:
        if image.format not in ("PNG", "GIF", "BMP"):
            raise BadFile(f"{path} is a JPEG, which changes the values of pixels.", _HINT)
        refuse_animation(image, path)
        if image.mode not in ("P", "L", "1") and not image.mode.startswith("I"):
            raise BadFile(f"{path} is an image of mode {image.mode}, but its pixels should be class indices.", _HINT)
        upright = ImageOps.exif_transpose(image)
        stored = np.array(upright).astype(np.int64)
        if image.mode == "P":
            return replace(_with_palette(stored, _palette(upright)), orientation=orientation(image))
        return DecodedMask(stored, "1-bit" if image.mode == "1" else "gray", {}, orientation(image))


def _with_palette(indices: NDArray[np.int64], palette: list[Color]) -> DecodedMask:
    """Colors name classes by their index. Grays are values themselves: writers number them as they like."""
    used = occurring(indices)
    if all(red == green == blue for red, green, blue in palette) and used[-1] < len(palette):
        grays = np.array([gray for gray, _, _ in palette], dtype=np.int64)
        values = grays[indices]
        kind: MaskKind = "gray" if np.array_equal(values, indices) else "gray palette"
        return DecodedMask(values, kind, {})
    return DecodedMask(indices, "palette", {index: palette[index] for index in used if index < len(palette)})


def occurring(values: NDArray[np.int64]) -> list[int]:
    """The distinct values, in ascending order; much faster than sorting them."""
    return np.bincount(values.reshape(-1)).nonzero()[0].tolist()


def _palette(image: Any) -> list[Color]:
    flat = image.getpalette("RGB") or []
    return [(red, green, blue) for red, green, blue in zip(flat[::3], flat[1::3], flat[2::3], strict=True)]
