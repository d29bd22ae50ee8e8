"""Pictures and clips from a user's files."""

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

_ARRAYS = (".npy", ".npz")
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
_CURE = "Give a PNG, JPEG, GIF or .npy file."


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
        array = _array(path)
        return _channels(_unit(array[..., None] if array.ndim == 2 else array, path), channels)
    with _opened(path) as picture:
        return _pixels(picture, channels)


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
        return _stacked([(file, read_image(file, channels)) for file in files], path, start)
    if path.suffix.lower() in _ARRAYS:
        array = _clip_array(path)[start:stop]
        return _stacked([(path, _channels(_unit(frame, path), channels)) for frame in array], path, start)
    from PIL import ImageSequence

    with _opened(path) as picture:
        wanted = itertools.islice(ImageSequence.Iterator(picture), start, stop)
        return _stacked([(path, _pixels(frame, channels)) for frame in wanted], path, start)


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
    if path.suffix.lower() in _ARRAYS:
        length, height, width, _ = _clip_array(path).shape
        return length, height, width
    with _opened(path, whole=False) as picture:
        return (getattr(picture, "n_frames", 1), *_upright_size(picture))


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
        file for file in folder.iterdir() if file.suffix.lower() in PICTURES and not file.name.startswith(".")
    )


@contextmanager
def _opened(path: Path, whole: bool = True) -> Iterator[Any]:
    """The file as Pillow has it. What is wrong with it may show only as more of it is read, in the body."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if whole:
                picture.load()
            yield picture
    except BadFile:
        raise
    except UnidentifiedImageError:
        raise BadFile(f"{path} is no picture that can be read.", _CURE) from None
    except (
        *(OSError, EOFError, SyntaxError, ValueError, IndexError, TypeError, struct.error),  # of bytes that lack others
        Image.DecompressionBombError,
    ) as error:
        raise BadFile(f"{path} can't be read: {_why(error)}.", _CURE) from error


def _upright(picture: Any) -> Any:
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _upright_size(picture: Any) -> tuple[int, int]:
    """Height and width as the picture is shown: a camera may have stored it lying on its side."""
    from PIL import ExifTags

    lies = "exif" in picture.info and picture.getexif().get(ExifTags.Base.Orientation, 1) > 4
    return (picture.width, picture.height) if lies else (picture.height, picture.width)


def _pixels(picture: Any, channels: int) -> Tensor:
    from torchvision.transforms.v2.functional import pil_to_tensor, to_dtype

    picture = _upright(picture)
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits a pixel; Pillow would cut off what is over 255
        values = np.asarray(picture).astype(np.float32) / (1 if picture.mode == "F" else 65535)
        return torch.from_numpy(values).clamp(0, 1).expand(channels, -1, -1).clone()
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        from PIL import Image

        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    converted = picture.convert("L" if channels == 1 else "RGB")
    return to_dtype(pil_to_tensor(converted), torch.float32, scale=True)  # type: ignore[no-any-return]


def _array(path: Path) -> Any:
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
    except tokenize.TokenError as error:  # NumPy reads a header as Python
        raise BadFile(f"{path} can't be read: its header is damaged.", _CURE) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        # NumPy takes whatever it does not know for a pickle, and would say how to run it.
        pickled = isinstance(error, ValueError) and ("pickle" in str(error) or "Python objects" in str(error))
        why = "it holds Python objects, or is no array" if pickled else _why(error)
        raise BadFile(f"{path} can't be read: {why}.", _CURE) from error


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


def _clip_array(path: Path) -> Any:
    array = _array(path)
    if array.ndim not in (3, 4):
        raise BadFile(f"{path} holds {array.shape}, but should hold (T, H, W) or (T, H, W, C).")
    return array if array.ndim == 4 else array[..., None]


def _stacked(frames: list[tuple[Path, Tensor]], path: Path, start: int) -> Tensor:
    if not frames and start:
        raise BadFile(f"{path} has no frame {start}: it ends before it.", "Its frames are numbered from 0.")
    if not frames:
        wanted = f"files that end in {', '.join(PICTURES)}" if path.is_dir() else "at least one frame"
        raise BadFile(f"{path} holds no pictures.", f"It should hold {wanted}.")
    first = frames[0][1]
    for file, frame in frames:
        if frame.shape != first.shape:
            raise BadFile(
                f"{file} is {_size(frame)}, but the first picture there is {_size(first)}.",
                "All frames of a clip should be of one size.",
            )
    return torch.stack([frame for _, frame in frames])


def _unit(array: Any, path: Path) -> Tensor:
    """(H, W, C) of bytes or of numbers in [0, 1] as (C, H, W) in [0, 1]."""
    if array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise BadFile(f"{path} holds pictures {array.shape}, but should hold (H, W) or (H, W, C) with 1 or 3 channels.")
    if array.dtype == np.uint8:
        return torch.from_numpy(np.array(array)).permute(2, 0, 1).float() / 255
    if array.dtype == np.bool_ or np.issubdtype(array.dtype, np.floating):
        values = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)
        if not ((values >= 0) & (values <= 1)).all():
            raise BadFile(
                f"{path} holds numbers from {float(values.min()):.4g} to {float(values.max()):.4g}.",
                "They should lie in 0..1, or be bytes (uint8).",
            )
        return values
    raise BadFile(f"{path} holds {array.dtype}.", "It should hold bytes (uint8), or numbers in 0..1.")


def _channels(picture: Tensor, channels: int) -> Tensor:
    if picture.shape[0] == channels:
        return picture
    if channels == 1:
        from torchvision.transforms.v2.functional import rgb_to_grayscale

        return rgb_to_grayscale(picture)  # type: ignore[no-any-return]
    return picture.expand(channels, -1, -1).clone()


def _size(frame: Tensor) -> str:
    return f"{frame.shape[-2]} x {frame.shape[-1]}"
