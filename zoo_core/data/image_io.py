"""Read images, masks and clips from files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo_core.data import image_decoding as decoding
from zoo_core.data.arrays import SUFFIXES as ARRAY_SUFFIXES
from zoo_core.data.arrays import load_clip_array, to_unit_range
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
from zoo_core.data.tiff import is_tiff, page_of
from zoo_core.errors import BadFile
from zoo_core.files import file_of

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp"),
    *(".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".pbm", ".pfm"),
)
# Endings of images that are not read. Among the frames of a clip they would be missing.
_SIDECARS = (".txt", ".json", ".xml", ".csv", ".yaml", ".yml", ".md", ".npy", ".npz", ".mat", ".flo")
_OTHER_SUFFIXES = (".jp2", ".avif", ".heic", ".jxl", ".exr", ".tga")


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
    return _read_still(Path(path), channels, max_value, allow_dark)[0]


def read_frames(
    path: str | Path,
    channels: int,
    start: int = 0,
    stop: int | None = None,
    max_value: int | None = None,
    allow_dark: bool = False,
) -> Tensor:
    """Read the frames of a clip.

    A clip is a folder of images in the natural order of their names (``frame2`` before ``frame10``), a GIF, a TIFF of
    several pages, or an ``.npy`` or ``.npz`` file.

    Parameters
    ----------
    path : str or os.PathLike
        The folder or file. An ``.npy`` file contains an array ``(T, H, W)`` or ``(T, H, W, C)`` of bytes, or of numbers
        in [0, 1]; an ``.npz`` file contains one such array. Of an ``.npy`` file only the requested frames are read.
    channels : {1, 3}
        1 for gray, 3 for RGB. Frames with the other number of channels are converted.
    start : int, default 0
        Index of the first frame.
    stop : int, optional
        Index after the last frame. By default all frames are read.
    max_value : int, optional
        The value of white in images, as for `read_image`.
    allow_dark : bool, default False
        Whether images of 16 bits that are all dark are read, as for `read_image`.

    Returns
    -------
    torch.Tensor
        The frames, shape ``(T, channels, H, W)``, float32 in [0, 1].

    Raises
    ------
    BadFile
        If the clip is missing, damaged, or of another format, has no frame ``start``, its frames differ in size, or a
        folder contains animations, or images of a format that is not read.

    See Also
    --------
    clip_shape : Read the size of a clip without its frames.
    """
    path = Path(path)
    if path.is_dir():
        return _read_files(_frame_files(path)[start:stop], path, channels, start, max_value, allow_dark)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        array = load_clip_array(path)[start:stop]
        frames = [decoding.with_channels(to_unit_range(frame, path), channels) for frame in array]
        return _stack([(path, frame) for frame in frames], path, start)
    if is_tiff(file_of(path)) and decoding.number_of_pages(path) > 1:
        return _read_files(decoding.pages(path)[start:stop], path, channels, start, max_value, allow_dark)
    with decoding.open_image(path) as image:
        numbers = decoding.frames_of(image, path)
        if len(numbers) == 1:
            frames = [read_image(path, channels, max_value, allow_dark)][start:stop]
        else:
            frames = [_read_frame(image, number, path, channels) for number in numbers[start:stop]]
    return _stack([(path, frame) for frame in frames], path, start)


def read_mask(path: str | Path, colors: bool = False) -> Tensor:
    """Read a segmentation mask: the value of each pixel, unscaled.

    The value of a pixel is its gray value, 0 or 1 in an image of one bit, and its index in a palette of colors. A
    palette of grays only is a grayscale image.

    Parameters
    ----------
    path : str or os.PathLike
        A PNG, GIF, BMP, PGM or TIFF file, in grayscale of 1 to 16 bits or with a palette, a lossless WebP file in
        color, or an ``.npy`` file with an array (H, W) of whole numbers. ``stack.tif#page=3`` is the fourth page of a
        TIFF.
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


def clip_shape(path: str | Path) -> tuple[int, int, int]:
    """Read the size of a clip from its headers.

    Parameters
    ----------
    path : str or os.PathLike
        A clip, as for `read_frames`, or an image.

    Returns
    -------
    tuple of (int, int, int)
        Number of frames, and height and width of the first frame. ``(0, 0, 0)`` for a folder without images.

    Raises
    ------
    BadFile
        If the clip is missing, damaged, or of another format.

    See Also
    --------
    read_frames : Read the frames of a clip.
    """
    path = Path(path)
    if path.is_dir():
        files = _frame_files(path)
        return (len(files), *clip_shape(files[0])[1:]) if files else (0, 0, 0)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        length, height, width, _ = load_clip_array(path).shape
        return length, height, width
    if is_tiff(file_of(path)):
        page = page_of(path)
        return decoding.number_of_pages(path), page.height, page.width
    with decoding.open_image(path, decode=False) as image:
        return (len(decoding.frames_of(image, path)), *decoding.upright_size(image))


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


def _read_still(
    path: Path, channels: int, max_value: int | None, allow_dark: bool
) -> tuple[Tensor, StoredImage | None]:
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


def _read_frame(image: Image.Image, number: int, path: Path, channels: int) -> Tensor:
    image.seek(number)
    if decoding.is_16_bit(image, path):
        raise BadFile(f"{path} is an animation of 16 bits per channel.", "Save it with 8 bits, or frame by frame.")
    return decoding.to_tensor(image, channels)


def _read_files(
    files: Sequence[Path], path: Path, channels: int, start: int, max_value: int | None, allow_dark: bool
) -> Tensor:
    """Images as the frames of the clip at ``path``, from the frame ``start`` on."""
    stills = [(file, *_read_still(file, channels, max_value, allow_dark=True)) for file in files]
    deep = [
        (int(stored.values.max()), file)
        for file, _, stored in stills
        if stored is not None and stored.values.dtype == "uint16" and stored.white is None
    ]
    if deep and max_value is None and not allow_dark:
        decoding.refuse_few_bits(*max(deep))
    return _stack([(file, image) for file, image, _ in stills], path, start)


def _frame_files(folder: Path) -> list[Path]:
    """The images in a folder; BadFile if other files look like frames, or if a frame is there twice."""
    files = image_files(folder)
    numbered = {_pattern(file) for file in files}
    others = sorted(set(folder.iterdir()) - set(files), key=natural_key)
    missing = [
        file.name
        for file in others
        if file.suffix.lower() in _OTHER_SUFFIXES
        or (_pattern(file) in numbered and file.suffix.lower() not in _SIDECARS and not file.is_dir())
    ]
    missing = [name for name in missing if not name.startswith(".")]
    if files and missing:
        raise BadFile(
            f"{folder} holds {missing[0]}, which would be missing among the frames: only {', '.join(IMAGE_SUFFIXES)} "
            "are read.",
            "Convert all frames to PNG, and move other files elsewhere.",
        )
    by_stem: dict[str, Path] = {}
    for file in files:
        if (first := by_stem.setdefault(file.stem, file)) is not file:
            raise BadFile(f"{folder} holds {first.name} and {file.name}, one frame twice.", "Remove one of them.")
    return files


def _pattern(file: Path) -> str:
    """The name without its ending and its numbers, which frames of one clip share; the name of a file without any."""
    pattern = re.sub(r"\d+", "#", file.stem)
    return pattern if "#" in pattern else file.name


def _stack(frames: list[tuple[Path, Tensor]], path: Path, start: int) -> Tensor:
    """Frames (C, H, W) with the files they come from, as one clip (T, C, H, W)."""
    if not frames and start:
        raise BadFile(f"{path} has fewer than {start + 1} frames.", f"Frames are numbered from 0; start is {start}.")
    if not frames:
        expected = f"files that end in {', '.join(IMAGE_SUFFIXES)}" if path.is_dir() else "at least one frame"
        raise BadFile(f"{path} holds no images.", f"It should hold {expected}.")
    first = frames[0][1]
    for file, frame in frames:
        if frame.shape != first.shape:
            raise BadFile(
                f"{file} is {_size(frame)}, but the first frame is {_size(first)}.",
                "All frames of a clip should have the same size.",
            )
    return torch.stack([frame for _, frame in frames])


def _size(frame: Tensor) -> str:
    return f"{frame.shape[-2]} x {frame.shape[-1]}"
