"""Read ``.npy`` and ``.npz`` files as images and clips."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_core.data.image_decoding import HINT, reason
from zoo_core.errors import BadFile
from zoo_core.files import stat_regular

SUFFIXES = (".npy", ".npz")
_DAMAGED = (  # raised for damaged files; RuntimeError: an encrypted archive
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, OverflowError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
_ROUNDING = 1e-5  # a value may be this much outside of [0, 1]; it is clipped


def load_array(path: Path) -> Any:
    """The array of an ``.npy`` file, memory-mapped, or the only one of an ``.npz`` file."""
    stat_regular(path)
    try:
        with path.open("rb") as file:
            is_archive = file.read(2) == b"PK"
        if not is_archive:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            names = list(loaded)
            if len(names) != 1:
                raise BadFile(
                    f"{path} holds {len(names)} arrays ({', '.join(names)}), but should hold one.",
                    "Save each array as an .npy file.",
                )
            return loaded[names[0]]
    except BadFile:
        raise
    except tokenize.TokenError as error:  # NumPy parses the header as a Python expression
        raise BadFile(f"{path} can't be read: its header is damaged.", HINT) from error
    except _DAMAGED as error:
        # NumPy assumes that unknown content is a pickle, and its message suggests allow_pickle=True.
        pickled = isinstance(error, ValueError) and ("pickle" in str(error) or "Python objects" in str(error))
        why = "it holds Python objects or is not an array" if pickled else reason(error)
        raise BadFile(f"{path} can't be read: {why}.", HINT) from error


def load_clip_array(path: Path) -> Any:
    """The array of a file as (T, H, W, C)."""
    array = load_array(path)
    if array.ndim not in (3, 4):
        raise BadFile(
            f"{path} holds an array of shape {array.shape}, but should hold (T, H, W) or (T, H, W, C).",
            "Save one clip in a file, and move files of another content elsewhere.",
        )
    if array.ndim == 3 and array.shape[2] in (3, 4):
        raise BadFile(
            f"{path} holds an array of shape {array.shape}, which is one image with colors and no clip (T, H, W).",
            f"Save clips as (T, H, W, C), of one frame as (1, {array.shape[0]}, {array.shape[1]}, {array.shape[2]}).",
        )
    return array if array.ndim == 4 else array[..., None]


def refuse_binary(array: Any, path: Path) -> None:
    """Raise BadFile if the bytes of an image or a clip are 0 and 1 only: with 255 as white it would be nearly black."""
    if array.dtype != np.uint8 or not array.size:
        return
    # Of most files, the first frame says enough; then the others need not be read.
    if all(frame.max() <= 1 for frame in array) and any(frame.any() for frame in array):
        raise BadFile(
            f"{path} holds uint8 values of 0 and 1 only: with 255 as white they would be nearly black.",
            "Save it as bool, or multiply its values by 255.",
        )


def to_unit_range(array: Any, path: Path) -> Tensor:
    """An array (H, W, C), uint8, bool or floating-point in [0, 1], as a tensor (C, H, W) in [0, 1]."""
    if array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise BadFile(
            f"{path} holds images of shape {array.shape}, but should hold (H, W) or (H, W, C) with 1 or 3 channels.",
            "Reshape it, and save one image or clip in a file.",
        )
    if array.dtype == np.uint8:
        return torch.from_numpy(np.array(array)).permute(2, 0, 1).float() / 255
    if array.dtype == np.bool_ or np.issubdtype(array.dtype, np.floating):
        values = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)
        if not ((values >= -_ROUNDING) & (values <= 1 + _ROUNDING)).all():
            raise BadFile(
                f"{path} holds values from {float(values.min()):.4g} to {float(values.max()):.4g}.",
                "Floating-point values should be in [0, 1]; values in 0..255 should be stored as uint8.",
            )
        return values.clamp(0, 1)
    raise BadFile(f"{path} holds {array.dtype}.", "It should hold uint8, or floating-point values in [0, 1].")
