"""Read clips from folders of images, animations, stacks, arrays and videos."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo_core.data import animations, video
from zoo_core.data import image_decoding as decoding
from zoo_core.data.arrays import SUFFIXES as ARRAY_SUFFIXES
from zoo_core.data.arrays import load_clip_arrays, to_unit_range
from zoo_core.data.image_io import IMAGE_SUFFIXES, image_files, natural_key, read_still
from zoo_core.errors import BadFile
from zoo_core.files import split_clip

# Endings of images that are not read. Among the frames of a clip they would be missing.
_SIDECARS = (".txt", ".json", ".xml", ".csv", ".yaml", ".yml", ".md", ".npy", ".npz", ".mat", ".flo")
_OTHER_SUFFIXES = (".jp2", ".avif", ".heic", ".jxl", ".exr", ".tga")


def read_frames(
    path: str | Path,
    channels: int,
    start: int = 0,
    stop: int | None = None,
    max_value: int | None = None,
    clip: int | None = None,
    allow_dark: bool = False,
) -> Tensor:
    """Read the frames of a clip.

    A clip is a folder of images in the natural order of their names (``frame2`` before ``frame10``), a GIF, animated
    PNG or WebP, a TIFF file of several pages, an ``.npy`` or ``.npz`` file, or a video, for which PyAV is needed (``pip
    install "zoo-core[video]"``). Only the frames that are requested are read; a video is decoded from the key frame
    before them. Of formats in which each frame needs all before it, a long clip is decoded once, into
    ``ZOO_HOME/cache``.

    Parameters
    ----------
    path : str or os.PathLike
        The folder or file. An ``.npy`` file contains an array ``(T, H, W)`` or ``(T, H, W, C)`` of bytes, or of numbers
        in [0, 1], or several clips, ``(N, T, H, W)`` or ``(N, T, H, W, C)``; an ``.npz`` file contains one such array.
        ``many.npy#clip=3`` is the fourth clip of several.
    channels : {1, 3}
        1 for gray, 3 for RGB. Frames with the other number of channels are converted.
    start : int, default 0
        Index of the first frame; a negative one counts from the end.
    stop : int, optional
        Index after the last frame. By default all frames are read.
    max_value : int, optional
        The value of white in images, as for `read_image`.
    clip : int, optional
        Index of the clip in a file of several.
    allow_dark : bool, default False
        Whether images of 16 bits that are all dark are read, as for `read_image`.

    Returns
    -------
    torch.Tensor
        The frames, shape ``(T, channels, H, W)``, float32 in [0, 1].

    Raises
    ------
    BadFile
        If the clip is missing, damaged, or of another format, has no frame ``start``, its frames differ in size, a
        folder contains animations, or images of a format that is not read, or the file contains several clips and none
        is chosen.

    See Also
    --------
    clip_shape : Read the size of a clip without its frames.
    check_clips : Read many clips once to find those that are refused.
    """
    path, named = split_clip(Path(path))
    clip = named if clip is None else clip
    if path.is_dir():
        return _read_folder(path, channels, start, stop, max_value, allow_dark)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        array = _one_clip(load_clip_arrays(path), path, clip)[start:stop]
        frames = [decoding.with_channels(to_unit_range(frame, path), channels) for frame in array]
    elif path.suffix.lower() in video.SUFFIXES:
        frames = [decoding.with_channels(animations.to_unit(one), channels) for one in video.read(path, start, stop)]
    else:
        frames = animations.read(path, channels, start, stop, max_value, allow_dark)
    return _stack([(path, frame) for frame in frames], path, start)


def clip_shape(path: str | Path) -> tuple[int, int, int]:
    """Read the size of a clip, of all formats but videos from the headers.

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
    path, _ = split_clip(Path(path))
    if path.is_dir():
        files = _frame_files(path)
        return (len(files), *clip_shape(files[0])[1:]) if files else (0, 0, 0)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        _, length, height, width, _ = load_clip_arrays(path).shape
        return length, height, width
    if path.suffix.lower() in video.SUFFIXES:
        index = video.video_index(path)
        return index.length, index.height, index.width
    return animations.shape(path)


def _one_clip(arrays: Any, path: Path, clip: int | None) -> Any:
    """The array (T, H, W, C) of a clip in (N, T, H, W, C)."""
    if len(arrays) > 1 and clip is None:
        raise BadFile(
            f"{path} contains {len(arrays)} clips.",
            f"Name one of them, numbered from 0, such as {path.name}#clip=0, or save it in a file of its own.",
        )
    if clip is not None and clip >= len(arrays):
        raise BadFile(f"{path} contains {len(arrays)} clips, numbered from 0, but no clip {clip}.", "Name one of them.")
    return arrays[clip or 0]


def _read_folder(
    path: Path, channels: int, start: int, stop: int | None, max_value: int | None, allow_dark: bool
) -> Tensor:
    files = _frame_files(path)
    stills = [(file, *read_still(file, channels, max_value, allow_dark=True)) for file in files[start:stop]]
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
