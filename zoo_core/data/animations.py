"""Read animations and stacks of pages with Pillow: GIF, animated PNG, WebP and TIFF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_core.data import image_decoding as decoding
from zoo_core.data.decoded_clips import decoded
from zoo_core.data.image_io import read_image
from zoo_core.data.stored_image import StoredImage, scaled_bytes, to_unit_range
from zoo_core.data.tiff import page_offsets
from zoo_core.errors import BadFile

SUFFIXES = (".gif", ".apng", ".webp", ".tif", ".tiff")
"""Of files that may hold several frames; so may those of PNG, but rarely do."""
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_HINT = "Give a GIF, an animated PNG or WebP, a TIFF of 8 bits or of 16 bits in gray, an .npy file, or PNG images."
_FROM_THE_START = ("GIF", "PNG", "WEBP")  # a frame needs those before it
_STILLS = ("PNG", "JPEG", "GIF", "BMP")  # that are read as images are


@contextmanager
def opened(path: Path, decode: bool = True) -> Iterator[Any]:
    """An image or animation, opened with Pillow; what is wrong with the file becomes a BadFile."""
    pages = page_offsets(path)
    with decoding.open_image(path, decode, _HINT, _FORMATS) as image:
        if hasattr(image, "_frame_pos"):  # Pillow would read all pages before the one that is needed
            image._frame_pos, image._n_frames = list(pages), len(pages)
        _refuse_hidden_pages(image, path)
        yield image


def shape(path: Path) -> tuple[int, int, int]:
    """Number of frames, height and width."""
    with opened(path, decode=False) as image:
        return (len(decoding.frame_range(image)), *decoding.upright_size(image))


def read(
    path: Path, channels: int, start: int, stop: int | None, max_value: int | None, allow_dark: bool = False
) -> list[Tensor]:
    """The frames ``start`` to ``stop``, as of a slice, each (channels, H, W) in [0, 1]."""
    form = f"{channels}-{_version()}"
    array = decoded(path, form, lambda: channels * _pixels_to_keep(path), lambda file: _write(file, path, channels))
    if array is not None:
        return [scaled_bytes(to_unit(frame), path, max_value, allow_dark=True) for frame in array[start:stop]]
    with opened(path, decode=False) as image:
        numbers = decoding.frame_range(image)
        if len(numbers) == 1 and image.format in _STILLS:
            return [read_image(path, channels, max_value, allow_dark)][start:stop]
        image.load()
        values = [frame_values(image, number, path) for number in numbers[start:stop]]
    return _scaled(values, path, channels, max_value, allow_dark)


def frame_values(image: Any, number: int, path: Path) -> Any:
    """A frame: a Pillow image of 8 bits, or an array (H, W), int32 if it has 16 bits, else floating-point."""
    image.seek(number)
    if decoding.is_16_bit(image, path):
        raise BadFile(f"{path} is an animation of 16 bits per channel.", "Save it with 8 bits, or frame by frame.")
    if image.format == "TIFF" and (image.mode == "F" or image.mode.startswith("I")):
        values = np.asarray(image)
        if image.mode == "F":
            return values
        if values.min() < 0 or values.max() > decoding.MAX_16_BIT:
            raise BadFile(
                f"{path} holds values from {values.min()} to {values.max()}.",
                f"Save it with whole numbers in 0..{decoding.MAX_16_BIT}, or with floating-point values in [0, 1].",
            )
        return values.astype(np.int32)
    return image.copy()


def to_unit(pixels: NDArray[np.uint8]) -> Tensor:
    """Bytes (H, W, C) as a tensor (C, H, W) in [0, 1]."""
    from torchvision.transforms.v2.functional import to_dtype

    image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
    return to_dtype(image, torch.float32, scale=True)  # type: ignore[no-any-return]


def _scaled(frames: list[Any], path: Path, channels: int, max_value: int | None, allow_dark: bool) -> list[Tensor]:
    deep = [frame for frame in frames if isinstance(frame, np.ndarray) and frame.dtype == np.int32]
    if deep and max_value is None and not allow_dark:
        decoding.refuse_few_bits(max(int(frame.max()) for frame in deep), path)
    return [_scaled_frame(frame, path, channels, max_value) for frame in frames]


def _scaled_frame(frame: Any, path: Path, channels: int, max_value: int | None) -> Tensor:
    if not isinstance(frame, np.ndarray):
        return scaled_bytes(decoding.to_tensor(frame, channels), path, max_value, allow_dark=True)
    values = frame.astype(np.uint16) if frame.dtype == np.int32 else frame
    return to_unit_range(StoredImage(values[..., None]), path, channels, max_value, allow_dark=True)


def _pixels_to_keep(path: Path) -> int:
    """The pixels of an animation that can only be decoded from the start; 0 of anything else."""
    with opened(path, decode=False) as image:
        numbers = decoding.frame_range(image)
        starts_anywhere = len(numbers) == 1 or image.format not in _FROM_THE_START
        return 0 if starts_anywhere else len(numbers) * image.height * image.width


def _write(file: Path, path: Path, channels: int) -> None:
    """Decode all frames into an array (T, H, W, channels) of bytes."""
    with opened(path) as image:
        numbers = decoding.frame_range(image)
        array: Any = None
        for index, number in enumerate(numbers):
            frame = _scaled_frame(frame_values(image, number, path), path, channels, None)
            if array is None:
                size = (len(numbers), *frame.shape[1:], channels)
                array = np.lib.format.open_memmap(file, "w+", np.uint8, size)
            array[index] = frame.mul(255).round().byte().permute(1, 2, 0).numpy()
        array.flush()


def _refuse_hidden_pages(image: Any, path: Path) -> None:
    """Raise BadFile for a stack of ImageJ that states one page only, although its data contain more."""
    if image.format != "TIFF":
        return
    about = str(image.tag_v2.get(270, ""))  # ImageDescription
    stated = re.search(r"^images=(\d+)", about, re.MULTILINE) if about.startswith("ImageJ=") else None
    if stated and int(stated[1]) > image.n_frames:
        raise BadFile(
            f"{path} is a stack of ImageJ with {stated[1]} images, but only {image.n_frames} can be read.",
            "Save it as an ordinary TIFF of several pages, or as an image sequence in PNG.",
        )


def _version() -> str:
    import PIL

    return f"pillow-{PIL.__version__}"
