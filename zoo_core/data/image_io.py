"""Read images and clips from files."""

from __future__ import annotations

import itertools
import struct
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_core.errors import BadFile

_ARRAY_SUFFIXES = (".npy", ".npz")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
_HINT = "Give a PNG, JPEG, GIF or .npy file."


def read_image(path: str | Path, channels: int) -> Tensor:
    """Read an image file.

    Formats are PNG, JPEG, BMP, GIF (the first frame) and ``.npy``. The EXIF orientation is applied, and transparent
    pixels become black.

    Parameters
    ----------
    path : str or os.PathLike
        The file. An ``.npy`` file contains an array ``(H, W)`` or ``(H, W, C)`` of bytes, or of numbers in [0, 1].
    channels : {1, 3}
        1 for gray, 3 for RGB. Images with the other number of channels are converted.

    Returns
    -------
    torch.Tensor
        The image, shape ``(channels, H, W)``, float32 in [0, 1].

    Raises
    ------
    BadFile
        If the file is missing, damaged, or of another format.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        array = _load_array(path)
        return _with_channels(_unit_range(array[..., None] if array.ndim == 2 else array, path), channels)
    with _open_image(path) as image:
        return _to_tensor(image, channels)


def read_frames(path: str | Path, channels: int, start: int = 0, stop: int | None = None) -> Tensor:
    """Read the frames of a clip.

    A clip is a folder of images in the order of their names, a GIF, or an ``.npy`` or ``.npz`` file.

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

    Returns
    -------
    torch.Tensor
        The frames, shape ``(T, channels, H, W)``, float32 in [0, 1].

    Raises
    ------
    BadFile
        If the clip is missing, damaged, or of another format, has no frame ``start``, or its frames differ in size.

    See Also
    --------
    clip_shape : Read the size of a clip without its frames.
    """
    path = Path(path)
    if path.is_dir():
        files = image_files(path)[start:stop]
        return _stack([(file, read_image(file, channels)) for file in files], path, start)
    if path.suffix.lower() in _ARRAY_SUFFIXES:
        array = _load_clip_array(path)[start:stop]
        return _stack([(path, _with_channels(_unit_range(frame, path), channels)) for frame in array], path, start)
    from PIL import ImageSequence

    with _open_image(path) as image:
        frames = itertools.islice(ImageSequence.Iterator(image), start, stop)
        return _stack([(path, _to_tensor(frame, channels)) for frame in frames], path, start)


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
        files = image_files(path)
        return (len(files), *clip_shape(files[0])[1:]) if files else (0, 0, 0)
    if path.suffix.lower() in _ARRAY_SUFFIXES:
        length, height, width, _ = _load_clip_array(path).shape
        return length, height, width
    with _open_image(path, decode=False) as image:
        return (getattr(image, "n_frames", 1), *_upright_size(image))


def image_files(folder: Path) -> list[Path]:
    """List the image files in a folder, not in its subfolders.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    list of pathlib.Path
        Files that end in ``.png``, ``.jpg``, ``.jpeg``, ``.gif`` or ``.bmp``, in the order of their names; without
        hidden files.
    """
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )


@contextmanager
def _open_image(path: Path, decode: bool = True) -> Iterator[Any]:
    """Open a file with Pillow; reading errors raised in the body become BadFile, too."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if decode:
                image.load()
            yield image
    except BadFile:
        raise
    except UnidentifiedImageError:
        raise BadFile(f"{path} is not a supported image file.", _HINT) from None
    except (
        *(
            OSError,
            EOFError,
            SyntaxError,
            ValueError,
            IndexError,
            TypeError,
            struct.error,
        ),  # raised for truncated files
        Image.DecompressionBombError,
    ) as error:
        raise BadFile(f"{path} can't be read: {_reason(error)}.", _HINT) from error


def _upright_size(image: Any) -> tuple[int, int]:
    """Height and width after rotation by the EXIF orientation."""
    from PIL import ExifTags

    transposed = "exif" in image.info and image.getexif().get(ExifTags.Base.Orientation, 1) > 4
    return (image.width, image.height) if transposed else (image.height, image.width)


def _to_tensor(image: Any, channels: int) -> Tensor:
    """A Pillow image as (channels, H, W) in [0, 1]: rotated by its EXIF orientation, on a black background."""
    from PIL import Image, ImageOps
    from torchvision.transforms.v2.functional import pil_to_tensor, to_dtype

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # more than 8 bits; Pillow's convert would clip to 255
        values = np.asarray(image).astype(np.float32) / (1 if image.mode == "F" else 65535)
        return torch.from_numpy(values).clamp(0, 1).expand(channels, -1, -1).clone()
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    converted = image.convert("L" if channels == 1 else "RGB")
    return to_dtype(pil_to_tensor(converted), torch.float32, scale=True)  # type: ignore[no-any-return]


def _load_array(path: Path) -> Any:
    """The array of an ``.npy`` file, memory-mapped, or the only one of an ``.npz`` file."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = list(loaded)
            if len(names) != 1:
                raise BadFile(f"{path} holds {len(names)} arrays ({', '.join(names)}), but should hold one.")
            return loaded[names[0]]
    except BadFile:
        raise
    except tokenize.TokenError as error:  # NumPy parses the header as a Python expression
        raise BadFile(f"{path} can't be read: its header is damaged.", _HINT) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        # NumPy assumes that unknown content is a pickle, and its message suggests allow_pickle=True.
        pickled = isinstance(error, ValueError) and ("pickle" in str(error) or "Python objects" in str(error))
        reason = "it holds Python objects or is not an array" if pickled else _reason(error)
        raise BadFile(f"{path} can't be read: {reason}.", _HINT) from error


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


def _load_clip_array(path: Path) -> Any:
    """The array of a file as (T, H, W, C)."""
    array = _load_array(path)
    if array.ndim not in (3, 4):
        raise BadFile(f"{path} holds an array of shape {array.shape}, but should hold (T, H, W) or (T, H, W, C).")
    return array if array.ndim == 4 else array[..., None]


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


def _unit_range(array: Any, path: Path) -> Tensor:
    """An array (H, W, C), uint8, bool or floating-point in [0, 1], as a tensor (C, H, W) in [0, 1]."""
    if array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise BadFile(
            f"{path} holds images of shape {array.shape}, but should hold (H, W) or (H, W, C) with 1 or 3 channels."
        )
    if array.dtype == np.uint8:
        return torch.from_numpy(np.array(array)).permute(2, 0, 1).float() / 255
    if array.dtype == np.bool_ or np.issubdtype(array.dtype, np.floating):
        values = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)
        if not ((values >= 0) & (values <= 1)).all():
            raise BadFile(
                f"{path} holds values from {float(values.min()):.4g} to {float(values.max()):.4g}.",
                "Floating-point values should be in [0, 1]; values in 0..255 should be stored as uint8.",
            )
        return values
    raise BadFile(f"{path} holds {array.dtype}.", "It should hold uint8, or floating-point values in [0, 1].")


def _with_channels(image: Tensor, channels: int) -> Tensor:
    """An image (C, H, W) converted to gray (1, H, W) or RGB (3, H, W)."""
    if image.shape[0] == channels:
        return image
    if channels == 1:
        from torchvision.transforms.v2.functional import rgb_to_grayscale

        return rgb_to_grayscale(image)  # type: ignore[no-any-return]
    return image.expand(channels, -1, -1).clone()


def _size(frame: Tensor) -> str:
    return f"{frame.shape[-2]} x {frame.shape[-1]}"
