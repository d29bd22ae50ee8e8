"""Write images, clips, class maps and arrays to files."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo_core.errors import BadFile

FRAME_SECONDS = 0.1
TIFF = (".tif", ".tiff")
_LINE = 2
"""Width in pixels of the lines between the images of a grid and around it."""
_GOLDEN = (5**0.5 - 1) / 2


def save(images: Tensor, path: Path, columns: int = 8) -> None:
    """Write images or clips in [0, 1] as one image file; see :func:`grid`.

    Raises:
        BadFile: if the file cannot be written, or its suffix is not that of an image format.
    """
    image = _to_pil(grid(images, columns))
    # A level of 1 takes a third of the time, in which a run waits for its preview, for a file that is a tenth larger.
    _write(path, lambda: image.save(path, compress_level=1), "Choose a name that ends in .png.")


def grid(images: Tensor, columns: int = 8) -> Tensor:
    """Arrange images (N, C, H, W) in a grid of ``columns``, or clips (N, T, C, H, W) with one row per clip.

    Values are in [0, 1], or uint8 in 0..255. The result (3, H, W) in [0, 1] equals that of torchvision's
    ``make_grid``, which is not used because importing it would cost every run time and memory.
    """
    if images.dtype == torch.uint8:
        images = images.float() / 255
    elif images.dtype not in (torch.float, torch.double):  # not all types can be computed with
        images = images.float()
    columns = columns if images.ndim == 4 else images.shape[1]
    images = images.flatten(0, -4).expand(-1, 3, -1, -1)
    count, channels, height, width = images.shape
    if count == 1:
        return images[0]
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = images.new_zeros(channels, rows * (height + _LINE) + _LINE, columns * (width + _LINE) + _LINE)
    for number, image in enumerate(images):  # without copies of all of them, which may be large
        row, column = divmod(number, columns)
        top, left = row * (height + _LINE) + _LINE, column * (width + _LINE) + _LINE
        canvas[:, top : top + height, left : left + width] = image
    return canvas


def in_unit_range(image: Tensor) -> Tensor:
    """An image whose values are clipped to [0, 1]; NaN is 0."""
    return image.nan_to_num(0.0).clamp_(0, 1)


def save_clips(clips: Tensor, path: Path, columns: int = 3) -> None:
    """Write ``clips`` (N, T, C, H, W) in [0, 1] as an animated GIF, whose frames are grids of ``columns``.

    Raises:
        BadFile: if the file cannot be written.
    """
    frames = [_to_pil(grid(clips[:, time], columns)) for time in range(clips.shape[1])]
    milliseconds = round(FRAME_SECONDS * 1000)
    _write(
        path,
        lambda: frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0),
        "Choose a name that ends in .gif.",
    )


def save_tiff(tensor: Tensor, path: Path) -> None:
    """Write images or clips in [0, 1], a class map, or an array (..., H, W) as a TIFF file, compressed losslessly.

    Images and frames are pages of 8 bits. A class map has its indices as pixel values, and a palette. An array has a
    page of 32-bit floats for each matrix.

    Raises:
        BadFile: if the file cannot be written, or an array has no matrix or is complex.
    """
    from PIL import Image

    if tensor.ndim in (4, 5) and tensor.shape[-3] in (1, 3):
        pages = [_to_pil(grid(image[None])) for image in tensor.flatten(0, -4)]
    elif tensor.ndim == 2 and tensor.dtype == torch.uint8:
        pages = [_class_image(tensor)]
    elif tensor.ndim >= 2 and not tensor.is_complex():
        pages = [Image.fromarray(matrix.numpy()) for matrix in tensor.float().reshape(-1, *tensor.shape[-2:])]
    else:
        raise BadFile(f"{path} can't hold an array of shape {tuple(tensor.shape)}.", "Choose a name ending in .npy.")
    first, *others = pages
    _write(
        path,
        lambda: first.save(path, save_all=True, append_images=others, compression="tiff_adobe_deflate"),
        "Choose a name that ends in .tif.",
    )


def save_classes(classes: Tensor, path: Path) -> None:
    """Write a class map (H, W) of dtype uint8 as a palette PNG, whose pixel values are the class indices.

    Raises:
        BadFile: if the file cannot be written, or its name does not end in .png.
    """
    if path.suffix.lower() != ".png":
        raise BadFile(
            f"{path} should end in .png: class indices are stored losslessly.", "Choose a name that ends in .png."
        )
    image = _class_image(classes)
    # A level of 1 takes a third of the time, in which a run waits for its preview, for a file that is a tenth larger.
    _write(path, lambda: image.save(path, compress_level=1), "Choose a name that ends in .png.")


def save_array(tensor: Tensor, path: Path) -> None:
    """Write ``tensor`` as an ``.npy`` file.

    Raises:
        BadFile: if the file cannot be written.
    """
    import numpy as np

    values = tensor.detach().cpu()
    values = values.to(torch.complex64) if values.dtype is torch.complex32 else values  # which NumPy does not have
    if values.is_floating_point() and values.dtype not in (torch.half, torch.float, torch.double):  # unlike NumPy
        values = values.float()
    _write(path, lambda: np.save(path, values.numpy(), allow_pickle=False), "Choose another path.")


def palette(count: int) -> list[tuple[int, int, int]]:
    """Return distinct colors for classes, such as those of a segmentation.

    The first color is black, for the background. The hues of the others are a golden angle apart, so that consecutive
    classes differ clearly, and all of them are bright.

    Parameters
    ----------
    count : int
        Number of classes, including the background.

    Returns
    -------
    list of tuple of (int, int, int)
        ``count`` RGB colors, 0 to 255.

    Examples
    --------
    >>> zoo.palette(3)
    [(0, 0, 0), (255, 0, 0), (102, 147, 255)]
    """
    return [(0, 0, 0), *(_bright_color(number) for number in range(count - 1))]


def _to_pil(image: Tensor) -> Any:
    """An image (3, H, W), clipped to [0, 1], as a Pillow image."""
    from PIL import Image

    return Image.fromarray(in_unit_range(image).mul_(255).add_(0.5).byte().permute(1, 2, 0).contiguous().cpu().numpy())


def _class_image(classes: Tensor) -> Any:
    from PIL import Image

    image = Image.fromarray(classes.numpy(), mode="P")
    image.putpalette([value for color in palette(256) for value in color])
    return image


def _bright_color(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.6 if number % 2 else 1.0, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _write(path: Path, write: Callable[[], Any], hint: str) -> None:
    try:
        write()
    except OSError as error:
        raise not_written(path, error) from error
    except ValueError as error:  # an ending of no format
        raise BadFile(f"{path} could not be written: {error}.", hint) from error


def not_written(path: Path, error: OSError) -> BadFile:
    """The error for a file that the system does not write."""
    return BadFile(f"{path} could not be written: {error.strerror or error}.", "Choose another path.")
