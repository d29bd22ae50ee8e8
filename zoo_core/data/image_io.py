"""Read images from files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo_core.data import image_decoding as decoding
from zoo_core.data.mask_decoding import decode_mask
from zoo_core.data.stored_image import (
    StoredImage,
    is_array,
    scaled_bytes,
    stored_array,
    stored_in,
    stored_tiff,
    wrong_channels,
)
from zoo_core.data.stored_image import to_unit_range as scaled

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp"),
    *(".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".pbm", ".pfm"),
)


def read_image(path: str | Path, channels: int, max_value: int | None = None, allow_dark: bool = False) -> Tensor:
    """Read an image file.

    Formats are PNG, JPEG, TIFF, WebP, BMP, GIF, PPM and ``.npy``, recognized by their content. The EXIF orientation is
    applied, transparent pixels are blended with black, and CMYK is converted to RGB without its color profile. A file
    with several frames or pages is refused; ``stack.tif#page=3`` is the fourth page of a TIFF.

    Parameters
    ----------
    path : str or os.PathLike
        The file. An ``.npy`` file contains an array ``(H, W)`` or ``(H, W, C)``.
    channels : int
        1 for gray, 3 for RGB; images with the other number of channels are converted. Any other number: that of the
        file, with transparency.
    max_value : int, optional
        The value of white, for example 4095 if the camera has 12 bits. By default it is 255 in files of 8 bits, 65535
        in those of 16 bits, and 1 for floating-point values; other integers need it. In files of 8 bits a value above
        255 is not used. By default an image of 16 bits whose values are all below 16384, as those of a camera of 14
        bits, is refused, unless it is black; so is one of 8 bits with values of 0 and 1 only.
    allow_dark : bool, default False
        Whether such an image is read nevertheless, as one among brighter ones.

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
    return read_still(Path(path), channels, max_value, allow_dark)[0]


def read_mask(path: str | Path, colors: bool = False) -> Tensor:
    """Read a segmentation mask: the value of each pixel, unscaled.

    The value of a pixel is its gray value, 0 or 1 in an image of one bit, and its index in a palette of colors. A
    palette of grays only is a grayscale image.

    Parameters
    ----------
    path : str or os.PathLike
        A PNG, GIF, BMP, PGM or TIFF file, in grayscale of 1 to 16 bits or with a palette, a lossless WebP file in
        color, or an ``.npy`` file with an array (H, W) of whole numbers. ``stack.tif#page=3`` is the fourth page of a
        TIFF, and ``planes.npy#page=3`` the fourth plane of an array (K, H, W) or (H, W, K) with K below H and W.
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
        Files with an ending of PNG, JPEG, TIFF, WebP, BMP, GIF or PPM in any case, in the natural order of their names
        (``frame2`` before ``frame10``); without hidden files.
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


def read_still(path: Path, channels: int, max_value: int | None, allow_dark: bool) -> tuple[Tensor, StoredImage | None]:
    """An image (channels, H, W), and what is stored if that is not bytes."""
    stored = stored_array(path) if is_array(path) else stored_tiff(path)
    if stored is None:
        with decoding.open_image(path) as image:
            decoding.refuse_animation(image, path)
            stored = stored_in(image, path)
            if stored is None:
                return scaled_bytes(_of_bytes(image, path, channels), path, max_value, allow_dark), None
    return scaled(stored, path, channels, max_value, allow_dark), stored


def _of_bytes(image: Image.Image, path: Path, channels: int) -> Tensor:
    if channels in (1, 3):
        return decoding.to_tensor(image, channels)
    if len(image.getbands()) != channels:
        raise wrong_channels(path, len(image.getbands()), channels)
    return decoding.all_channels(image)
