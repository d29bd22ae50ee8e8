"""Pictures and clips as files."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_core.errors import BadFile

FRAME_SECONDS = 0.1
_LINE = 2
"""Pixels between two images of a grid, and around it."""
_GOLDEN = (5**0.5 - 1) / 2


def save(pictures: Tensor, path: Path, columns: int = 8) -> None:
    """Write ``pictures`` in [0, 1] as one picture; see grid.

    Raises:
        BadFile: if the file cannot be written, or its ending names no picture format.
    """
    picture = _as_picture(grid(pictures, columns))
    _write(path, lambda: picture.save(path), "Choose a name that ends in .png.")


def can_be_drawn(value: Any) -> bool:
    """Pictures (N, C, H, W), clips (N, T, C, H, W), or classes of pixels (H, W) as uint8."""
    shape: tuple[int, ...] = tuple(getattr(value, "shape", ()))
    if len(shape) == 2:
        return str(value.dtype) == "torch.uint8"
    return len(shape) in (4, 5) and shape[-3] in (1, 3) and 0 not in shape


def drawable(pictures: Tensor | None) -> Tensor | None:
    """``pictures`` as they are kept and drawn: on the CPU, without a gradient.

    Raises:
        ValueError: if they are no pictures (N, C, H, W) or clips (N, T, C, H, W) of 1 or 3 channels.
    """
    if pictures is None:
        return None
    if not isinstance(pictures, Tensor) or pictures.ndim not in (4, 5) or not can_be_drawn(pictures):
        given = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
        raise ValueError(f"pictures should be a tensor (N, C, H, W) with 1 or 3 channels, but it gives {given}.")
    return pictures.detach().cpu()


def grid(pictures: Tensor, columns: int = 8) -> Tensor:
    """``pictures`` (N, C, H, W) in a grid of ``columns``, or clips (N, T, C, H, W) with a row for each: (3, H, W).

    Numbers in [0, 1], or bytes, which are brought there.
    As torchvision's ``make_grid`` lays it out, whose import would cost every run time and memory.
    """
    if pictures.dtype == torch.uint8:
        pictures = pictures.float() / 255
    columns = columns if pictures.ndim == 4 else pictures.shape[1]
    pictures = pictures.flatten(0, -4).expand(-1, 3, -1, -1)
    count, channels, height, width = pictures.shape
    if count == 1:
        return pictures[0]
    columns = min(columns, count)
    rows = -(-count // columns)
    empty = pictures.new_zeros(rows * columns - count, channels, height, width)
    cells = F.pad(torch.cat([pictures, empty]), (_LINE, 0, _LINE, 0))
    lines = cells.reshape(rows, columns, *cells.shape[1:]).permute(2, 0, 3, 1, 4)
    lines = lines.reshape(channels, rows * (height + _LINE), columns * (width + _LINE))
    return F.pad(lines, (0, _LINE, 0, _LINE))


def save_clips(clips: Tensor, path: Path, columns: int = 3) -> None:
    """Write ``clips`` (N, T, C, H, W) in [0, 1] as an animated GIF, in each frame a grid of ``columns``.

    Raises:
        BadFile: if the file cannot be written.
    """
    frames = [_as_picture(grid(clips[:, time], columns)) for time in range(clips.shape[1])]
    milliseconds = round(FRAME_SECONDS * 1000)
    _write(
        path,
        lambda: frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0),
        "Choose a name that ends in .gif.",
    )


def save_classes(classes: Tensor, path: Path) -> None:
    """Write ``classes`` (H, W) uint8 as a PNG with a palette: its pixels are the classes' numbers.

    Raises:
        BadFile: if the file cannot be written, or does not end in .png.
    """
    from PIL import Image

    if path.suffix.lower() != ".png":
        raise BadFile(f"{path} should end in .png: its pixels are numbers of classes.", "Choose a name that ends so.")
    picture = Image.fromarray(classes.numpy(), mode="P")
    picture.putpalette([value for color in palette(256) for value in color])
    _write(path, lambda: picture.save(path), "Choose a name that ends in .png.")


def save_array(tensor: Tensor, path: Path) -> None:
    """Write ``tensor`` as an ``.npy`` file.

    Raises:
        BadFile: if the file cannot be written.
    """
    import numpy as np

    plain = tensor.detach().cpu()
    if plain.dtype == torch.bfloat16:  # which NumPy has not
        plain = plain.float()
    _write(path, lambda: np.save(path, plain.numpy(), allow_pickle=False), "Choose another place.")


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
    return [(0, 0, 0), *(_bright(number) for number in range(count - 1))]


def _as_picture(image: Tensor) -> Any:
    """(3, H, W) in [0, 1], what is outside cut off, as one of Pillow's."""
    from PIL import Image

    return Image.fromarray(image.mul(255).add(0.5).clamp(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy())


def _bright(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.6 if number % 2 else 1.0, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _write(path: Path, write: Callable[[], Any], hint: str) -> None:
    try:
        write()
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} could not be written: {error}.", hint) from error
