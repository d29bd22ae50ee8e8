"""Read every image, mask or clip of a dataset once, before the first step, to find those that are refused."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.data import image_decoding as decoding
from zoo_core.data.arrays import SUFFIXES as ARRAY_SUFFIXES
from zoo_core.data.arrays import load_clip_arrays, refuse_binary, to_unit_range
from zoo_core.data.mask_decoding import Color, MaskKind, color_of, decode_mask
from zoo_core.errors import BadFile
from zoo_core.fingerprint.per_file import map_files

_VERSION = 3  # of the facts in the cache
_MOST_COLORS = 1024  # of a file; a mask has far fewer


@dataclass(frozen=True)
class ImageFacts:
    """What `check_images` finds in a file.

    Parameters
    ----------
    frames : int
        Number of frames; 1 for an image.
    height : int
        Height in pixels, after rotation by the EXIF orientation.
    width : int
        Width in pixels, after rotation by the EXIF orientation.
    channels : int
        1 for gray, 3 for colors, 4 for CMYK; without transparency.
    brightest : int or None
        The largest value in a file of 16 bits; None for any other.
    transparent : bool
        Whether some pixels of a frame are transparent.
    orientation : int, default 1
        The EXIF orientation, 1 to 8; 1 if the image is stored upright.
    """

    frames: int
    height: int
    width: int
    channels: int
    brightest: int | None
    transparent: bool
    orientation: int = 1


@dataclass(frozen=True)
class MaskFacts:
    """What `check_masks` finds in a file.

    Parameters
    ----------
    height : int
        Height in pixels, after rotation by the EXIF orientation.
    width : int
        Width in pixels, after rotation by the EXIF orientation.
    values : tuple of int
        The values that occur, in ascending order; of an image in color the 1,024 most frequent ones.
    kind : {"gray", "1-bit", "palette", "gray palette", "color", "gray color"}
        How they are stored. A mask in color whose pixels are all gray is "gray color", and its values are the grays.
    colors : dict of int to tuple
        The colors of the values that occur, if they are indices of a palette or colors.
    orientation : int, default 1
        The EXIF orientation, 1 to 8; 1 if the mask is stored upright.
    counts : tuple of int
        The number of pixels of each of ``values``.
    """

    height: int
    width: int
    values: tuple[int, ...]
    kind: MaskKind
    colors: dict[int, Color]
    orientation: int = 1
    counts: tuple[int, ...] = field(default=(), compare=False)


def check_images(paths: Sequence[str | Path]) -> list[ImageFacts]:
    """Read every image or clip once, so that a bad file is found before the first training step.

    Files are read in threads; a line on stderr shows the progress if that takes more than two seconds. What was found
    is kept in ``ZOO_HOME/cache`` until the file changes, so that the next run reads only changed files.

    Parameters
    ----------
    paths : sequence of str or os.PathLike
        Files that `read_image` or `read_frames` reads. An array is a clip.

    Returns
    -------
    list of ImageFacts
        What was found, in the order of the paths.

    Raises
    ------
    BadFile
        If a file can't be read; the message names it.

    See Also
    --------
    check_masks : The same for masks.
    fingerprint_files : Compute the fingerprint of files.
    """
    found = map_files(_inspect_image, [Path(path) for path in paths], cache=_cache("image"), task="checking images")
    return [ImageFacts(**facts) for facts in found]


def check_masks(paths: Sequence[str | Path], colors: bool = False) -> list[MaskFacts]:
    """Read every segmentation mask once, as `check_images` does, and compare their palettes.

    Parameters
    ----------
    paths : sequence of str or os.PathLike
        Files that `read_mask` reads.
    colors : bool, default False
        Whether masks in color, and palettes that differ, are accepted.

    Returns
    -------
    list of MaskFacts
        What was found, in the order of the paths.

    Raises
    ------
    BadFile
        If a file can't be read, has colors, or two files have different colors for one index; the message names them.

    See Also
    --------
    check_images : The same for images and clips.
    """
    files = [Path(path) for path in paths]
    found = map_files(_inspect_mask, files, cache=_cache("mask"), task="checking masks")
    masks = [
        MaskFacts(
            one["height"],
            one["width"],
            tuple(one["values"]),
            one["kind"],
            {int(index): (color[0], color[1], color[2]) for index, color in one["colors"].items()},
            one["orientation"],
            tuple(one["counts"]),
        )
        for one in found
    ]
    if not colors:
        for file, mask in zip(files, masks, strict=True):
            if mask.kind in ("color", "gray color"):
                decode_mask(file)  # refuses it
        _compare_palettes(files, masks)
    _compare_depths(files, masks)
    return masks


def _cache(kind: str) -> str:
    import PIL

    return f"{kind}-{_VERSION}-pillow-{PIL.__version__}"


def _inspect_image(path: Path, stopped: threading.Event) -> dict[str, Any]:
    return asdict(_array_facts(path, stopped) if path.suffix.lower() in ARRAY_SUFFIXES else _image_facts(path))


def _image_facts(path: Path) -> ImageFacts:
    with decoding.open_image(path) as image:
        numbers = decoding.frame_range(image)
        transparent = False  # perhaps of a later frame only
        for number in numbers[1:]:
            cleared = getattr(image, "disposal_method", 0) == 2
            image.seek(number)
            image.load()
            decoding.refuse_late_transparency(image, path, number, cleared)
            transparent = transparent or decoding.is_transparent(image)
        image.seek(numbers[0])
        image.load()
        height, width = decoding.upright_size(image)
        channels = decoding.channels_of(image)
        deep = decoding.is_16_bit(image, path)
        brightest = int(decoding.values_of_16_bit(image, path).max()) if deep else None
        transparent = transparent or (not deep and decoding.is_transparent(image))
        orientation = decoding.orientation(image)
    return ImageFacts(len(numbers), height, width, channels, brightest, transparent, orientation)


def _array_facts(path: Path, stopped: threading.Event) -> ImageFacts:
    array = load_clip_arrays(path)[0]
    length, height, width, channels = array.shape
    needs_values = np.issubdtype(array.dtype, np.floating)
    for frame in array if needs_values else array[:1]:
        if stopped.is_set():
            break
        to_unit_range(frame, path)
    refuse_binary(array, path)
    return ImageFacts(length, height, width, channels, None, False)


def _inspect_mask(path: Path, _stopped: threading.Event) -> dict[str, Any]:
    mask = decode_mask(path, colors=True)
    height, width = mask.values.shape
    values, counts, colors = *_counted(mask.values), mask.colors
    if mask.kind == "color":
        colors = {code: color_of(code) for code in values}
    return {
        "height": height,
        "width": width,
        "values": values,
        "kind": mask.kind,
        "colors": colors,
        "orientation": mask.orientation,
        "counts": counts,
    }


def _counted(values: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The values that occur, in ascending order, and how often; of colors the most frequent ones."""
    if values.max() <= decoding.MAX_16_BIT:
        counts = np.bincount(values.reshape(-1))
        found = counts.nonzero()[0]
        return found.tolist(), counts[found].tolist()
    found, counts = np.unique(values, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:_MOST_COLORS])
    return found[kept].tolist(), counts[kept].tolist()


def _compare_palettes(files: Sequence[Path], masks: Sequence[MaskFacts]) -> None:
    """Raise BadFile if two files differ in the color of an index or the index of a color, or in grays and colors."""
    colors: dict[int, tuple[Color, Path]] = {}
    indices: dict[Color, tuple[int, Path]] = {}
    kinds: dict[str, Path] = {}
    for file, mask in zip(files, masks, strict=True):
        kinds.setdefault(mask.kind, file)
        for index, color in mask.colors.items():
            known, first = colors.setdefault(index, (color, file))
            if known != color:
                raise BadFile(
                    f"the palettes of {first} and {file} differ: index {index} is {_hex(known)} in the first, and "
                    f"{_hex(color)} in the second.",
                    "Save all masks with the same palette, or in grayscale.",
                )
            other, first = indices.setdefault(color, (index, file))
            if other != index:
                raise BadFile(
                    f"the color {_hex(color)} has index {other} in {first}, and index {index} in {file}.",
                    "Save all masks with the same palette, or in grayscale.",
                )
    if "palette" in kinds and "gray palette" in kinds:
        raise BadFile(
            f"the palette of {kinds['gray palette']} has grays only, and that of {kinds['palette']} has colors.",
            "Save all masks with the same palette, or in grayscale.",
        )


def _compare_depths(files: Sequence[Path], masks: Sequence[MaskFacts]) -> None:
    """Raise BadFile if white is 1 in a file of one bit, and 255 in another file."""
    one_bit = [file for file, mask in zip(files, masks, strict=True) if mask.kind == "1-bit" and 1 in mask.values]
    gray = [file for file, mask in zip(files, masks, strict=True) if mask.kind != "1-bit" and 255 in mask.values]
    if one_bit and gray:
        raise BadFile(
            f"{one_bit[0]} has one bit per pixel, so that white is 1, but {gray[0]} contains 255.",
            "Save all masks with 8 bits per pixel.",
        )


def _hex(color: Color) -> str:
    return "#" + "".join(f"{value:02x}" for value in color)
