"""Images whose values are not bytes, or that have other channels than gray or RGB: what is stored, and its scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_core.data import image_decoding as decoding
from zoo_core.data import tiff
from zoo_core.data.arrays import load_array
from zoo_core.data.image_limit import refuse_too_large
from zoo_core.errors import BadFile
from zoo_core.files import file_of, stat_regular

ROUNDING = 1e-5  # a floating-point value may be this much outside of [0, 1]; it is clipped
MAX_CHANNELS = 256
_FULL_SCALE = {"bool": 1, "uint8": 255, "uint16": decoding.MAX_16_BIT}


@dataclass(frozen=True)
class StoredImage:
    """The pixels of an image as they are stored.

    Parameters
    ----------
    values : numpy.ndarray
        The pixels, (H, W, C): bool, integers or floating-point numbers.
    has_alpha : bool
        Whether the last channel is transparency.
    white : int or None
        The value of white, if the file states it.
    is_premultiplied : bool
        Whether the colors are already multiplied by the transparency.
    """

    values: NDArray[Any]
    has_alpha: bool = False
    white: int | None = None
    is_premultiplied: bool = False

    @property
    def is_float(self) -> bool:
        return self.values.dtype.kind == "f"

    @property
    def full_scale(self) -> int | None:
        """The value of white without further information; None for integers that have no usual one."""
        if self.white is not None:
            return self.white
        return 1 if self.is_float else _FULL_SCALE.get(self.values.dtype.name)

    @property
    def colors(self) -> NDArray[Any]:
        """The channels without transparency."""
        return self.values[..., :-1] if self.has_alpha else self.values


def is_array(path: Path) -> bool:
    """Whether a file is read as an array."""
    return path.suffix.lower() == ".npy"


def stored_array(path: Path) -> StoredImage:
    """An array (H, W) or (H, W, C) of an ``.npy`` file.

    Raises:
        BadFile: if it is no image, or has too many pixels.
    """
    if _is_archive(path):
        raise BadFile(f"{path} is an archive of arrays, but should be one.", "Save an image with numpy.save.")
    array = load_array(path)
    if array.ndim in (2, 3):
        refuse_too_large(path, *array.shape[:2])
    shape = array.shape if array.ndim == 3 else (*array.shape, 1)
    if array.ndim not in (2, 3) or not array.size or array.shape[2:] > (MAX_CHANNELS,):
        turned = array.ndim == 3 and array.size and array.shape[0] in (1, 3, 4)
        raise BadFile(
            f"{path} holds images of shape {shape if array.ndim == 2 else array.shape}, but should hold (H, W) or "
            "(H, W, C) with 1 or 3 channels.",
            "Save it as (H, W, C), with the channels last." if turned else "Save one image in a file.",
        )
    if array.dtype.kind not in "buif":
        raise BadFile(f"{path} holds {array.dtype}.", "It should hold integers or floating-point values.")
    return StoredImage(array.reshape(shape))


def _is_archive(path: Path) -> bool:
    stat_regular(path)
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False  # reading it says why


def stored_tiff(path: Path) -> StoredImage | None:
    """A page of a TIFF that Pillow does not read with all channels and bits; None for any other file."""
    if not tiff.is_tiff(file_of(path)):
        return None
    decoding.refuse_pages(path)
    decoding.refuse_turned_tiff(path)
    page = tiff.page_of(path)
    if page.is_8_bit or page.is_gray:
        return None
    refuse_too_large(path, page.height, page.width)
    return StoredImage(tiff.read_page(path, page), page.has_alpha, is_premultiplied=page.is_premultiplied)


def stored_in(image: Any, path: Path) -> StoredImage | None:
    """What a file that Pillow opens stores; None if it has 8 bits or fewer.

    Raises:
        BadFile: if values would be lost.
    """
    if decoding.is_16_bit(image, path):
        return _png_of_16_bit(image, path)
    if image.format == "PPM":
        return _portable_map(image, path)
    if image.mode == "F":
        return StoredImage(np.asarray(image)[..., None])
    if image.format == "TIFF" and image.mode.startswith("I"):
        return _gray_tiff(image, path)
    return None


def _png_of_16_bit(image: Any, path: Path) -> StoredImage:
    if "transparency" in image.info:
        raise BadFile(
            f"{path} has 16 bits per channel and a transparent color.", "Save it without transparency, or with 8 bits."
        )
    if image.mode.startswith("I"):
        return StoredImage(decoding.values_of_16_bit(image).astype(np.uint16)[..., None])
    # Pillow keeps the first byte of each value, and the second one if it takes the file for little-endian.
    with decoding.open_image(path, decode=False) as other:
        if {tile.args for tile in other.tile} != {f"{image.mode};16B"}:
            raise BadFile(f"{path} is in gray with transparency, and has 16 bits.", "Save it without transparency.")
        other.tile = [tile._replace(args=f"{image.mode};16L") for tile in other.tile]
        low = np.asarray(other)
    values = np.asarray(image).astype(np.uint16) << 8 | low
    return StoredImage(_upright(values, decoding.orientation(image)), has_alpha=image.mode == "RGBA")


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An array (H, W, C) rotated and mirrored by an EXIF orientation."""
    if orientation > 4:
        array = array.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array[::-1] if orientation in (3, 4, 7, 8) else array


def _portable_map(image: Any, path: Path) -> StoredImage | None:
    maximum = image.info["maximum"]
    if image.mode == "RGB" and maximum > 255:
        raise BadFile(f"{path} has 16 bits per channel and colors.", "Save it as PNG or TIFF, or with 8 bits.")
    if image.mode == "F":
        return StoredImage(np.asarray(image)[..., None])
    if image.mode != "I":
        return None
    values = np.asarray(image)[..., None].astype(np.uint16)  # scaled to 65535 by Pillow
    return StoredImage(values, white=None if maximum == decoding.MAX_16_BIT else decoding.MAX_16_BIT)


def _gray_tiff(image: Any, path: Path) -> StoredImage:
    page = tiff.page_of(path)
    values = np.asarray(image)[..., None]
    if page.sample_format == 1 and page.bits == 32:
        return StoredImage(values.view(np.uint32))
    if page.sample_format == 1:
        white = None if page.bits == 16 else 2**page.bits - 1
        return StoredImage(values.astype(np.uint16), white=white)
    return StoredImage(values.astype(np.int16) if page.bits == 16 else values)


def to_unit_range(
    stored: StoredImage, path: Path, channels: int, max_value: int | None = None, allow_dark: bool = False
) -> Tensor:
    """Stored pixels as an image (channels, H, W), float32 in [0, 1].

    Raises:
        BadFile: if the value of white is not known, values are beyond it, or the channels are others.
    """
    white = white_of(stored, path, max_value)
    kept = channels == stored.values.shape[2]
    _refuse_channels(stored, path, channels)
    if not allow_dark and max_value is None:
        _refuse_dark(stored, path)
    values = torch.from_numpy((stored.values if kept else stored.colors).astype(np.float32)).permute(2, 0, 1) / white
    values = values.clamp(0, 1) if stored.is_float else values.contiguous()
    if stored.has_alpha and kept == stored.is_premultiplied:
        alpha = torch.from_numpy(stored.values[..., -1].astype(np.float32)) / _opaque(stored)
        if kept:  # as Pillow does with 8 bits
            values[:-1] = torch.where(alpha > 0, values[:-1] / alpha, 0).clamp(0, 1)
        else:
            values = values * alpha
    return values if kept else decoding.with_channels(values, channels)


def white_of(stored: StoredImage, path: Path, max_value: int | None) -> int:
    """The value of white, beyond which there are no values.

    Raises:
        BadFile: if it is not known, or there are.
    """
    low, high = extent(stored, path)
    name = stored.values.dtype.name
    white = stored.full_scale if max_value is None or (name in ("bool", "uint8") and max_value > 255) else max_value
    slack = ROUNDING if stored.is_float else 0
    if low < -slack:
        raise BadFile(
            f"{path} holds values from {low:.4g} to {high:.4g}.",
            "Negative values have no meaning in an image: scale them to [0, 1] and save them as floating-point values.",
        )
    if white is None:
        raise BadFile(
            f"{path} holds {name}, with values up to {high:.0f}, and does not say which value is white.",
            f"Set max_value, for example max_value={suggested_white(high)}.",
        )
    if high > white * (1 + slack):
        if max_value is None and stored.is_float:
            raise BadFile(
                f"{path} holds values from {low:.4g} to {high:.4g}.",
                "Floating-point values should be in [0, 1]; for others set max_value, for example "
                f"max_value={suggested_white(high)}.",
            )
        raise BadFile(
            f"{path} holds values up to {high:.5g}, but max_value is {white}.", f"Write {math.ceil(high)} or more."
        )
    return white


def extent(stored: StoredImage, path: Path) -> tuple[float, float]:
    """The smallest and the largest value, without transparency.

    Raises:
        BadFile: if a value is not finite.
    """
    colors = stored.colors
    low, high = float(colors.min()), float(colors.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise BadFile(
            f"{path} holds values from {low:.4g} to {high:.4g}.",
            "Replace NaN and infinite values, for example by 0, and save it again.",
        )
    return low, high


def suggested_white(highest: float) -> int:
    """The largest value of as few bits as the values need: 8 at least, unless 3 of these would never be used."""
    needed = int((1 << max(1, math.ceil(highest).bit_length())) - 1)
    return needed if highest < 32 else max(255, needed)


def is_transparent(stored: StoredImage) -> bool:
    """Whether some pixels are transparent."""
    return stored.has_alpha and bool((stored.values[..., -1] < _opaque(stored)).any())


def _opaque(stored: StoredImage) -> int:
    kind = stored.values.dtype
    return 1 if kind.kind in "bf" else int(np.iinfo(kind).max)


def _refuse_channels(stored: StoredImage, path: Path, channels: int) -> None:
    count, colors = stored.values.shape[2], stored.colors.shape[2]
    if count == channels or (colors in (1, 3) and channels in (1, 3)):
        return
    if is_array(path) and channels in (1, 3):
        raise BadFile(
            f"{path} holds images of shape {stored.values.shape}, but should hold (H, W) or (H, W, C) with 1 or 3 "
            "channels.",
            f"Write `dataset.channels={count}` to use all of its channels, or save those that are meant.",
        )
    raise wrong_channels(path, count, channels)


def wrong_channels(path: Path, count: int, channels: int) -> BadFile:
    """The error for a file of other channels than those that are expected."""
    if channels in (1, 3):
        return BadFile(
            f"{path} has {count} channels, which are neither gray nor RGB.",
            f"Write `dataset.channels={count}` to use all of its channels, or save those that are meant.",
        )
    return BadFile(f"{path} has {count} channel{'s' * (count > 1)}, but should have {channels}.", "Give another file.")


def _refuse_dark(stored: StoredImage, path: Path) -> None:
    """Raise BadFile for a file whose values must have fewer bits than it has."""
    if stored.white is not None:
        return
    if stored.values.dtype == np.uint16:
        decoding.refuse_few_bits(int(stored.colors.max()), path)
    elif stored.values.dtype == np.uint8 and stored.colors.max() == 1:
        raise BadFile(
            f"{path} holds uint8 values of 0 and 1 only: with 255 as white they would be nearly black.",
            "Save it as bool, or multiply its values by 255.",
        )


def scaled_bytes(image: Tensor, path: Path, max_value: int | None, allow_dark: bool) -> Tensor:
    """An image of 8 bits in [0, 1], divided by the value of white if that is below 255.

    Raises:
        BadFile: if values are beyond it, or if they are 0 and 1 only.
    """
    if max_value is None:
        ones = (image > 0).float().mean()
        if not allow_dark and image.max() <= 1.5 / 255 and ones > decoding.BINARY:
            raise BadFile(
                f"{path} holds values of 0 and 1 only: with 255 as white it would be nearly black.",
                "Set max_value: max_value=1 if 1 is white, max_value=255 if the image is dark.",
            )
        return image
    if max_value >= 255:
        return image
    if (brightest := round(float(image.max()) * 255)) > max_value:
        raise BadFile(f"{path} holds values up to {brightest}, but max_value is {max_value}.", f"Write {brightest}.")
    return (image * 255).round() / max_value
