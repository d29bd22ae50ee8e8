"""Decode segmentation masks: the value of each pixel as it is stored, with what a palette says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo_core.data.arrays import load_array
from zoo_core.data.image_decoding import (
    has_transparency,
    is_16_bit,
    open_image,
    orientation,
    refuse_animation,
    refuse_turned_tiff,
)
from zoo_core.data.image_formats import is_lossless_webp
from zoo_core.errors import BadFile
from zoo_core.files import split_page

Color = tuple[int, int, int]
MaskKind = Literal["gray", "1-bit", "palette", "gray palette", "color", "gray color"]
_FORMATS = ("PNG", "GIF", "BMP", "JPEG", "TIFF", "WEBP", "PPM")  # a JPEG is recognized to be refused
_GRAY_MODES = ("P", "L", "1", "F")
_COLOR_MODES = ("RGB", "RGBA", "LA", "PA")
_LOSSY = ("jpeg", "tiff_jpeg", "webp", "jpeg2000")  # compressions of a TIFF
_MAX_VALUE = 65535
_HINT = "Save it as a PNG with a palette (mode P) or in grayscale (mode L)."


@dataclass(frozen=True)
class DecodedMask:
    """The values (H, W) int64 of a mask, and the colors of the values that occur, if it has colors.

    The value of a pixel of an image in color is ``0xRRGGBB``.
    """

    values: NDArray[np.int64]
    kind: MaskKind
    colors: dict[int, Color]
    orientation: int = 1

    @property
    def by_color(self) -> NDArray[np.int64]:
        """The colors ``0xRRGGBB`` of the pixels instead of indices and grays, unless the file is a grayscale image."""
        if self.kind in ("gray palette", "gray color"):
            return self.values * 0x010101
        if self.kind != "palette":
            return self.values
        table = np.full(int(self.values.max()) + 1, -1)
        for index, color in self.colors.items():
            table[index] = color_code(color)
        return table[self.values]


def color_code(color: Color) -> int:
    """``0xRRGGBB``."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def color_of(code: int) -> Color:
    """The color of ``0xRRGGBB``."""
    return code >> 16, code >> 8 & 255, code & 255


def decode_mask(path: Path, colors: bool = False) -> DecodedMask:
    """Decode a mask file, one in ``colors`` as well; see `zoo.read_mask`.

    Raises:
        BadFile: if it can't be read, or its pixels are not single values that were stored exactly.
    """
    file, plane = split_page(path)
    if file.suffix.lower() == ".npy":
        return _decode_array(file, plane)
    from PIL import ImageOps

    with open_image(path, decode=False, hint=_HINT, formats=_FORMATS) as image:
        if image.format == "JPEG" or image.info.get("compression") in _LOSSY:
            raise BadFile(f"{path} is a JPEG, which changes the values of pixels.", _HINT)
        if image.format == "WEBP" and not is_lossless_webp(path):
            raise BadFile(f"{path} is a lossy WebP, which changes the values of pixels.", _HINT)
        refuse_animation(image, path)
        refuse_turned_tiff(path)
        image.load()
        if colors and image.mode in _COLOR_MODES:
            return replace(_decode_color(image, path), orientation=orientation(image))
        if image.mode not in _GRAY_MODES and not image.mode.startswith("I"):
            raise BadFile(f"{path} is an image of mode {image.mode}, but its pixels should be class indices.", _HINT)
        upright = ImageOps.exif_transpose(image)
        values = np.array(upright)
        if image.format == "PPM" and image.mode in ("L", "I"):  # Pillow has scaled them
            values = np.rint(values * (image.info["maximum"] / (255 if image.mode == "L" else _MAX_VALUE)))
        stored = _whole_numbers(values, path)
        if image.mode == "P":
            return replace(_with_palette(stored, _palette(upright)), orientation=orientation(image))
        return DecodedMask(stored, "1-bit" if image.mode == "1" else "gray", {}, orientation(image))


def _decode_array(path: Path, plane: int | None) -> DecodedMask:
    array = load_array(path)
    if plane is not None:
        array = _plane(array, plane, path)
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim != 2 or not array.size:
        raise BadFile(
            f"{path} holds an array of shape {array.shape}, but a mask should be (H, W).",
            "Save the class index of each pixel as an array (H, W) of integers, in a file for each image.",
        )
    return DecodedMask(_whole_numbers(np.asarray(array), path), "1-bit" if array.dtype == np.bool_ else "gray", {})


def _plane(array: Any, number: int, path: Path) -> Any:
    """One of the masks in an array (K, H, W) or (H, W, K); K is the smaller one of the first and the last side."""
    if array.ndim != 3:
        raise BadFile(f"{path} holds an array of shape {array.shape}, which has no planes.", "Name the file alone.")
    first = array.shape[0] <= array.shape[2]
    count = array.shape[0] if first else array.shape[2]
    if number >= count:
        raise BadFile(
            f"{path} has {count} planes, numbered from 0, but no plane {number}.", "Give the number of one of them."
        )
    return array[number] if first else array[..., number]


def _whole_numbers(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """The values as integers, which those of an array or a TIFF need not be."""
    if values.dtype.kind not in "buif":
        raise BadFile(f"{path} holds {values.dtype}, but should hold integers.", _HINT)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        raise BadFile(f"{path} holds values that are no integers, but its pixels should be class indices.", _HINT)
    if values.dtype.kind in "if" and values.size and not (values.min() >= 0 and values.max() <= _MAX_VALUE):
        raise BadFile(
            f"{path} holds values from {values.min()} to {values.max()}, but masks should hold 0 to {_MAX_VALUE}.",
            "Save the pixels that belong to no class as 255, or as another value that is no class.",
        )
    return values.astype(np.int64)


def _decode_color(image: Any, path: Path) -> DecodedMask:
    """Values ``0xRRGGBB``, or the grays if there are no others."""
    from PIL import ImageOps

    if is_16_bit(image, path):
        raise BadFile(f"{path} has 16 bits per channel and colors.", "Save it with 8 bits per channel.")
    if has_transparency(image) and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise BadFile(f"{path} has transparent pixels, which have no class.", "Save it without transparency.")
    pixels = np.array(ImageOps.exif_transpose(image).convert("RGB")).astype(np.int64)  # (H, W, 3)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return DecodedMask(red, "gray color", {})
    return DecodedMask(red << 16 | green << 8 | blue, "color", {})


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
