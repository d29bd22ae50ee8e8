"""Read images and masks from files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo_core.data import image_decoding as decoding
from zoo_core.data.arrays import load_array, refuse_binary, to_unit_range
from zoo_core.data.mask_decoding import decode_mask

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")


def read_image(path: str | Path, channels: int, max_value: int | None = None) -> Tensor:
    """Read an image file.

    Formats are PNG, JPEG, BMP, GIF and ``.npy``, recognized by their content. The EXIF orientation is applied,
    transparent pixels are blended with black, and CMYK is converted to RGB without its color profile. A file with
    several frames is refused.

    Parameters
    ----------
    path : str or os.PathLike
        The file. An ``.npy`` file contains an array ``(H, W)`` or ``(H, W, C)`` of bytes, or of numbers in [0, 1].
    channels : {1, 3}
        1 for gray, 3 for RGB. Images with the other number of channels are converted.
    max_value : int, optional
        The value of white in images of 16 bits, for example 4095 if the camera has 12 bits. By default it is 65535, and
        an image whose values are all below 16384, as those of a camera of 14 bits, is refused, unless it is black.

    Returns
    -------
    torch.Tensor
        The image, shape ``(channels, H, W)``, float32 in [0, 1].

    Raises
    ------
    BadFile
        If the file is missing, damaged, of another format, or would lose values.

    See Also
    --------
    check_images : Read many images once to find those that are refused.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        array = load_array(path)
        refuse_binary(array, path)
        return decoding.with_channels(to_unit_range(array[..., None] if array.ndim == 2 else array, path), channels)
    image, is_16_bit = read_still(path, channels, max_value)
    if is_16_bit and max_value is None:
        decoding.refuse_few_bits(round(float(image.max()) * decoding.MAX_16_BIT), path)
    return image


def read_mask(path: str | Path, colors: bool = False) -> Tensor:
    """Read a segmentation mask: the value of each pixel, unscaled.

    The value of a pixel is its gray value, 0 or 1 in an image of one bit, and its index in a palette of colors. A
    palette of grays only is a grayscale image.

    Parameters
    ----------
    path : str or os.PathLike
        A PNG, GIF, BMP or TIFF file, in grayscale of 1 to 16 bits or with a palette, or an ``.npy`` file with an array
        (H, W) of whole numbers.
    colors : bool, default False
        Whether the value of a pixel is its color ``0xRRGGBB``, in an image in RGB or with a palette. Grayscale images
        are read as without it.

    Returns
    -------
    torch.Tensor
        The values, shape ``(H, W)``, int64.

    Raises
    ------
    BadFile
        If the file is missing or damaged, has several frames or transparent pixels, is a JPEG, which changes values,
        or has color channels without ``colors``.

    See Also
    --------
    check_masks : Read many masks once to find those that are refused.
    """
    mask = decode_mask(Path(path), colors)
    return torch.from_numpy(mask.by_color if colors else mask.values)


def image_files(folder: Path) -> list[Path]:
    """List the image files in a folder, not in its subfolders.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    list of pathlib.Path
        Files that end in ``.png``, ``.jpg``, ``.jpeg``, ``.gif`` or ``.bmp`` in any case, in the natural order of their
        names (``frame2`` before ``frame10``); without hidden files.
    """
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted((file for file in files if file.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)


def natural_key(path: str | Path) -> Any:
    """A sort key that compares the numbers in a name by their value, and equal ones by the whole name.

    Parameters
    ----------
    path : str or os.PathLike
        A file or folder, or its name.

    Returns
    -------
    object
        The key.

    Examples
    --------
    >>> sorted(["frame10.png", "frame1.png", "frame2.png"], key=zoo.natural_key)
    ['frame1.png', 'frame2.png', 'frame10.png']
    """
    name = os.path.basename(path)
    parts = re.split(r"(\d+)", os.path.splitext(name)[0])  # text, digits, text, digits, ..., text
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], name


def read_still(path: Path, channels: int, max_value: int | None) -> tuple[Tensor, bool]:
    """An image (channels, H, W), and whether it has 16 bits."""
    with decoding.open_image(path) as image:
        decoding.refuse_animation(image, path)
        if not decoding.is_16_bit(image, path):
            return decoding.to_tensor(image, channels), False
        values = decoding.values_of_16_bit(image, path)
    return decoding.scale_16_bit(values, path, channels, max_value or decoding.MAX_16_BIT), True
