"""Read ``.npy`` and ``.npz`` files as images and clips."""

from __future__ import annotations

import shutil
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_core.data.decoded_clips import SMALL, decoded
from zoo_core.data.image_decoding import HINT, reason
from zoo_core.errors import BadFile
from zoo_core.files import stat_regular

SUFFIXES = (".npy", ".npz")
_DAMAGED = (  # raised for damaged files; RuntimeError: an encrypted archive
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, OverflowError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
_FEWEST_COLUMNS = 8  # of a frame; fewer numbers along the last axis are channels
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


def load_clip_arrays(path: Path) -> Any:
    """The clips of a file as (N, T, H, W, C); a file of one clip, (T, H, W) or (T, H, W, C), has N = 1."""
    array = _mapped(path)
    shape = tuple(array.shape)
    if array.ndim == 3 and shape[2] in (3, 4):
        raise BadFile(
            f"{path} holds an array of shape {shape}, which is one image with colors and no clip (T, H, W).",
            f"Save clips as (T, H, W, C), of one frame as (1, {shape[0]}, {shape[1]}, {shape[2]}).",
        )
    if array.ndim == 3:
        return array[None, ..., None]
    if array.ndim == 4 and (shape[3] < _FEWEST_COLUMNS or not array.size):
        return array[None]
    if array.ndim == 4 and shape[1] in (1, 3):
        raise BadFile(
            f"{path} holds an array of shape {shape}: one clip with its {shape[1]} channels before the rows, or "
            f"{shape[0]} clips of {shape[1]} frames.",
            "Save array.transpose(0, 2, 3, 1) if it is one clip, or array[..., None] if these are several.",
        )
    if array.ndim == 5 or (array.ndim == 4 and shape[3] >= _FEWEST_COLUMNS):
        _refuse_time_first(array, path)
        return array if array.ndim == 5 else array[..., None]
    raise BadFile(
        f"{path} holds an array of shape {shape}, but should hold (T, H, W), (T, H, W, C), (N, T, H, W) or "
        "(N, T, H, W, C).",
        "Save clips in one of these forms, and move files of another content elsewhere.",
    )


def _refuse_time_first(array: Any, path: Path) -> None:
    """Raise BadFile if the frames of several clips follow one another along the first axis, not the second."""
    count, length = array.shape[:2]
    if count < 2 or length < 2:
        return
    clips = range(0, min(count, length) - 1, max(1, min(count, length) // 8))
    along = [_difference(array[k, k], array[k + 1, k]) for k in clips]
    within = [_difference(array[k, k], array[k, k + 1]) for k in clips]
    if 0 < sum(along) < sum(within) / 2:
        axes = ", ".join(map(str, (1, 0, *range(2, array.ndim))))
        raise BadFile(
            f"{path} holds an array of shape {tuple(array.shape)} whose first axis is time, but should hold (N, T, …).",
            f"Save array.transpose({axes}).",
        )


def _difference(one: Any, other: Any) -> float:
    if not (np.issubdtype(one.dtype, np.number) or one.dtype == np.bool_):
        return 0.0
    return float(np.abs(one.astype(np.float32) - other.astype(np.float32)).mean())


def _mapped(path: Path) -> Any:
    """The array of a file, mapped into memory; also that of an archive, if it is large."""
    stat_regular(path)
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                return load_array(path)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].file_size <= SMALL or not members[0].filename.endswith(".npy"):
                return load_array(path)
            if members[0].compress_type == zipfile.ZIP_STORED:
                return _mapped_member(path, members[0])
            form = f"npz-{members[0].filename}"
            array = decoded(path, form, lambda: members[0].file_size, lambda copy: _extract(archive, members[0], copy))
        return load_array(path) if array is None else array
    except BadFile:
        raise
    except _DAMAGED as error:
        raise BadFile(f"{path} can't be read: {reason(error)}.", HINT) from error


def _mapped_member(path: Path, member: zipfile.ZipInfo) -> Any:
    """The array of a member that is stored as it is, behind a header of 30 bytes, its name and an extra field."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)
        lengths = struct.unpack("<HH", header[26:30])
        file.seek(member.header_offset + 30 + sum(lengths))
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(file)
        if dtype.hasobject:
            raise BadFile(f"{path} can't be read: it holds Python objects or is not an array.", HINT)
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran_order else "C")


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, copy: Path) -> None:
    with archive.open(member) as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target, 2**20)


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
