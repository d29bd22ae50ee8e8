"""Read every clip of a dataset once, before the first step, to find those that are refused."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo_core.data import animations, video
from zoo_core.data import image_decoding as decoding
from zoo_core.data.arrays import SUFFIXES as ARRAY_SUFFIXES
from zoo_core.data.arrays import load_clip_arrays, refuse_binary, to_unit_range
from zoo_core.data.image_checks import ImageFacts, check_images
from zoo_core.data.image_io import IMAGE_SUFFIXES
from zoo_core.errors import BadFile
from zoo_core.fingerprint.per_file import map_files

_VERSION = 2  # of the facts in the cache
_STILL_SUFFIXES = [suffix for suffix in IMAGE_SUFFIXES if suffix not in (".tif", ".tiff", ".webp")]


@dataclass(frozen=True)
class ClipFacts(ImageFacts):
    """What `check_clips` finds in a file: that of `ImageFacts`, of all frames, and the number of clips.

    Parameters
    ----------
    frames : int
        Number of frames or pages; 1 for an image.
    height : int
        Height in pixels, after rotation by the EXIF orientation.
    width : int
        Width in pixels, after rotation by the EXIF orientation.
    channels : int
        1 for gray, 3 for colors, 4 for CMYK; without transparency. Other numbers in TIFF and ``.npy`` files.
    brightest : int or None
        The largest value in a file of 16 bits; None for any other.
    transparent : bool
        Whether some pixels of a frame are transparent.
    orientation : int, default 1
        The EXIF orientation, 1 to 8; 1 if the image is stored upright.
    dtype : str
        Type of the values: "uint8" for 8 bits and fewer, "uint16", "int32" or "float32", for example.
    lowest : float
        The smallest value of a color.
    highest : float
        The largest value of a color.
    white : int or None
        The value of white, if a file of more than 8 bits states it.
    bands : int
        Number of channels as they are stored, with transparency; those of CMYK count as 3.
    binary : bool
        Whether the values are 0 and 1 only, and more than one pixel of 100 is 1.
    clips : int
        Number of clips: 1, or those of an array ``(N, T, H, W)``.
    """

    clips: int = 1


def check_clips(paths: Sequence[str | Path]) -> list[ClipFacts]:
    """Read every clip, or image among the frames of one, once, so that a bad file is found before the first step.

    As `check_images`, it reads in threads, shows the progress, and keeps what was found until a file changes.

    Parameters
    ----------
    paths : sequence of str or os.PathLike
        Files that `read_frames` reads.

    Returns
    -------
    list of ClipFacts
        What was found, in the order of the paths.

    Raises
    ------
    BadFile
        If a file can't be read; the message names it.

    See Also
    --------
    check_images : The same for images.
    read_frames : Read frames of a clip.
    """
    files = [Path(path) for path in paths]
    found: dict[Path, ClipFacts] = {}
    images = [file for file in files if file.suffix.lower() in _STILL_SUFFIXES]
    for file, image in zip(images, check_images(images), strict=True):
        found[file] = ClipFacts(**vars(image))
    videos = [file for file in files if file.suffix.lower() in video.SUFFIXES]
    for file, index in zip(videos, video.check(videos), strict=True):
        found[file] = ClipFacts(index.length, index.height, index.width, 3, None, False, bands=3)
    others = [file for file in files if file not in found]
    for file, facts in zip(others, map_files(_inspect, others, cache=_cache(), task="checking clips"), strict=True):
        found[file] = ClipFacts(**facts)
    return [found[file] for file in files]


def _cache() -> str:
    import PIL

    return f"clip-{_VERSION}-pillow-{PIL.__version__}"


def _inspect(path: Path, stopped: threading.Event) -> dict[str, Any]:
    is_array = path.suffix.lower() in ARRAY_SUFFIXES
    return asdict(_array_facts(path, stopped) if is_array else _animation_facts(path, stopped))


def _array_facts(path: Path, stopped: threading.Event) -> ClipFacts:
    clips = load_clip_arrays(path)
    number, length, height, width, channels = clips.shape
    needs_values = np.issubdtype(clips.dtype, np.floating)
    for clip in clips if needs_values else clips[:1]:
        for frame in clip if needs_values else clip[:1]:
            if stopped.is_set():
                break
            to_unit_range(frame, path)
    refuse_binary(clips.reshape(-1, height, width, channels) if number > 1 else clips[0], path)
    return ClipFacts(length, height, width, channels, None, False, bands=channels, clips=number)


def _animation_facts(path: Path, stopped: threading.Event) -> ClipFacts:
    """Facts on a file that is no image of `read_image`: an animated WebP, or a TIFF."""
    with animations.opened(path) as image:
        numbers = decoding.frame_range(image)
        size = decoding.upright_size(image)
        channels, brightest, transparent = 1, None, False
        dtype, ranges = "uint8", list[tuple[float, float]]()
        for number in numbers:
            if stopped.is_set():
                break
            frame = animations.frame_values(image, number, path)
            if (found := decoding.upright_size(image)) != size:
                raise BadFile(
                    f"page {number} of {path} is {found[0]} x {found[1]}, but the first is {size[0]} x {size[1]}.",
                    "Save pages of one size.",
                )
            if isinstance(frame, np.ndarray):
                ranges.append((float(frame.min()), float(frame.max())))
                if frame.dtype == np.int32:
                    brightest, dtype = max(brightest or 0, int(frame.max())), "uint16"
                else:
                    to_unit_range(frame[..., None], path)
                    dtype = "float32"
            else:
                ranges.append(decoding.extent_of_bytes(frame))
                channels = max(channels, 1 if _is_gray(frame) else decoding.channels_of(frame))
                transparent = transparent or decoding.is_transparent(frame)
        if brightest is not None and channels > 1:
            raise BadFile(f"{path} has pages of 16 bits and pages with colors.", "Save pages of one kind.")
    return ClipFacts(
        *(len(numbers), *size, channels, brightest, transparent),
        dtype=dtype,
        lowest=min(low for low, _ in ranges),
        highest=max(high for _, high in ranges),
        bands=channels,
    )


def _is_gray(frame: Any) -> bool:
    """Whether an image has equal channels; WebP knows no grayscale."""
    if frame.mode not in ("RGB", "RGBA"):
        return False
    pixels = np.asarray(frame)[..., :3]
    return bool((pixels == pixels[..., :1]).all())
