"""Pictures and clips as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo_core.errors import BadFile

FRAME_SECONDS = 0.1


def save(pictures: Tensor, path: Path, columns: int = 8) -> None:
    """Write ``pictures`` (N, C, H, W) in [0, 1] as one picture, a grid of ``columns``.

    Raises:
        BadFile: if the file cannot be written, or its ending names no picture format.
    """
    from torchvision.utils import save_image

    _write(
        path, lambda: save_image(pictures, path, nrow=min(columns, len(pictures))), "Choose a name that ends in .png."
    )


def save_clips(clips: Tensor, path: Path, columns: int = 3) -> None:
    """Write ``clips`` (N, T, C, H, W) in [0, 1] as an animated GIF, in each frame a grid of ``columns``.

    Raises:
        BadFile: if the file cannot be written.
    """
    from PIL import Image
    from torchvision.utils import make_grid

    grids = [make_grid(clips[:, time], nrow=min(columns, len(clips))) for time in range(clips.shape[1])]
    frames = [Image.fromarray(grid.mul(255).round().byte().permute(1, 2, 0).numpy()) for grid in grids]
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
    picture.putpalette([value for colour in palette(256) for value in colour])
    _write(path, lambda: picture.save(path), "Choose a name that ends in .png.")


def save_array(tensor: Tensor, path: Path) -> None:
    """Write ``tensor`` as an ``.npy`` file.

    Raises:
        BadFile: if the file cannot be written.
    """
    import numpy as np

    _write(path, lambda: np.save(path, tensor.numpy(), allow_pickle=False), "Choose another place.")


def palette(count: int) -> list[tuple[int, int, int]]:
    """Colours that tell ``count`` classes apart; the first is black, for what is none of the others.

    The order is that of the Pascal VOC devkit (Everingham et al. 2010): the bits of a class's number, dealt out in turn
    to red, green and blue, the lowest to the highest place.
    """
    return [_colour(number) for number in range(count)]


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = (
        sum((number >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


def _write(path: Path, write: Callable[[], Any], cure: str) -> None:
    try:
        write()
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} could not be written: {error}.", cure) from error
