"""Read every image, mask or clip of a dataset once, before the first step, to find those that are refused."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.data import image_decoding as decoding
from zoo_core.data.arrays import SUFFIXES as ARRAY_SUFFIXES
from zoo_core.data.arrays import load_clip_arrays, refuse_binary, to_unit_range
from zoo_core.data.mask_decoding import Color, MaskKind, color_of, decode_mask
from zoo_core.data.stored_image import (
    StoredImage,
    extent,
    is_array,
    is_transparent,
    stored_array,
    stored_in,
    stored_tiff,
)
from zoo_core.data.tiff import is_tiff
from zoo_core.errors import BadFile
from zoo_core.files import file_of
from zoo_core.fingerprint.per_file import map_files

_VERSION = 4  # of the facts in the cache
_MOST_COLORS = 1024  # of a file; a mask has far fewer


@dataclass(frozen=True)
class ImageFacts:
    """What `check_images` finds in a file.

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
    """

    frames: int
    height: int
    width: int
    channels: int
    brightest: int | None
    transparent: bool
    orientation: int = 1
    dtype: str = field(default="uint8", compare=False)
    lowest: float = field(default=0, compare=False)
    highest: float = field(default=255, compare=False)
    white: int | None = field(default=None, compare=False)
    bands: int = field(default=0, compare=False)
    binary: bool = field(default=False, compare=False)


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


def check_images(paths: Sequence[str | Path], clips: bool = True) -> list[ImageFacts]:
    """Read every image or clip once, so that a bad file is found before the first training step.

    Files are read in threads; a line on stderr shows the progress if that takes more than two seconds. What was found
    is kept in ``ZOO_HOME/cache`` until the file changes, so that the next run reads only changed files.

    Parameters
    ----------
    paths : sequence of str or os.PathLike
        Files that `read_image` or `read_frames` reads.
    clips : bool, default True
        Whether an array is a clip, and an image otherwise.

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
    inspect, kind = (_inspect_clip, "clip") if clips else (_inspect_image, "image")
    found = map_files(inspect, [Path(path) for path in paths], cache=_cache(kind), task="checking images")
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


def _inspect_clip(path: Path, stopped: threading.Event) -> dict[str, Any]:
    return asdict(_array_facts(path, stopped) if path.suffix.lower() in ARRAY_SUFFIXES else _image_facts(path))


def _inspect_image(path: Path, _stopped: threading.Event) -> dict[str, Any]:
    return asdict(_stored_facts(stored_array(path), path) if is_array(path) else _image_facts(path))


def _image_facts(path: Path) -> ImageFacts:
    if is_tiff(file_of(path)) and decoding.number_of_pages(path) > 1:
        return _of_pages([_image_facts(one) for one in decoding.pages(path)], path)
    if (stored := stored_tiff(path)) is not None:
        return _stored_facts(stored, path)
    with decoding.open_image(path) as image:
        numbers = decoding.frames_of(image, path)
        transparent = False  # perhaps of a later frame only
        ranges = []
        for number in numbers[1:]:
            cleared = getattr(image, "disposal_method", 0) == 2
            image.seek(number)
            image.load()
            decoding.refuse_late_transparency(image, path, number, cleared)
            transparent = transparent or decoding.is_transparent(image)
            ranges.append(decoding.extent_of_bytes(image))
        image.seek(numbers[0])
        image.load()
        height, width = decoding.upright_size(image)
        orientation = decoding.orientation(image)
        if (stored := stored_in(image, path)) is not None:
            facts = _stored_facts(stored, path)
            return replace(facts, frames=len(numbers), height=height, width=width, orientation=orientation)
        ranges.append(decoding.extent_of_bytes(image))
        lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
        return ImageFacts(
            *(
                len(numbers),
                height,
                width,
                decoding.channels_of(image),
                None,
                transparent or decoding.is_transparent(image),
                orientation,
            ),
            lowest=lowest,
            highest=highest,
            bands=3 if image.mode == "CMYK" else len(image.getbands()),
            binary=highest == 1 and len(numbers) == 1 and decoding.is_binary(image),
        )


def _of_pages(pages: Sequence[ImageFacts], path: Path) -> ImageFacts:
    """The facts of a TIFF of several pages: those of the first, and the range of all."""
    if len({page.dtype for page in pages}) > 1:
        raise BadFile(f"{path} has pages of several kinds.", "Save pages of one kind in a file.")
    deep = [page.brightest for page in pages if page.brightest is not None]
    return replace(
        pages[0],
        frames=len(pages),
        brightest=max(deep) if deep else None,
        transparent=any(page.transparent for page in pages),
        lowest=min(page.lowest for page in pages),
        highest=max(page.highest for page in pages),
        binary=all(page.binary for page in pages),
    )


def _stored_facts(stored: StoredImage, path: Path) -> ImageFacts:
    height, width, bands = stored.values.shape
    lowest, highest = extent(stored, path)
    dtype = stored.values.dtype.name
    if dtype in ("bool", "uint8"):
        lowest, highest = (255 * lowest, 255 * highest) if dtype == "bool" else (lowest, highest)
        dtype = "uint8"
    return ImageFacts(
        *(1, height, width, stored.colors.shape[2]),
        brightest=int(highest) if dtype == "uint16" else None,
        transparent=is_transparent(stored),
        dtype=dtype,
        lowest=lowest,
        highest=highest,
        white=stored.white,
        bands=bands,
        binary=dtype == "uint8" and highest == 1 and float((stored.colors > 0).mean()) > decoding.BINARY,
    )


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
