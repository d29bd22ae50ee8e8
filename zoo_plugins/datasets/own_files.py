"""What the datasets of a user's own files have in common: what is left out, converted or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import zoo_core as zoo

MAX_16_BIT = 65535
_FEW_BITS = 2**14  # values below are those of a camera with 14 bits or less, or of dark images
_DARK = 2**12
_SHOWN = 3


def visible(folder: Path) -> list[Path]:
    """The entries of a folder without hidden ones, such as the ``._NAME`` that macOS writes beside each file."""
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != "__MACOSX"]


def left_out(folder: Path, used: Iterable[Path]) -> list[Path]:
    """The entries of a folder that are neither hidden nor ``used``."""
    known = set(used)
    return [entry for entry in visible(folder) if entry not in known]


def counted(entries: Sequence[Path]) -> str:
    """Entries counted by their ending: ``2 files ending in .tif, 1 sub-folder``."""
    endings = Counter(entry.suffix.lower() for entry in entries if not entry.is_dir())
    parts = [
        f"{count} file{'s' * (count > 1)} {f'ending in {ending}' if ending else 'without an ending'}"
        for ending, count in sorted(endings.items())
    ]
    folders = sum(entry.is_dir() for entry in entries)
    return ", ".join(parts + [f"{folders} sub-folder{'s' * (folders > 1)}"] * (folders > 0))


def listed(names: Sequence[str], most: int = _SHOWN) -> str:
    """The first few names."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


OTHER_IMAGES = (".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".jp2", ".avif", ".heic", ".jxl", ".exr", ".tga")
_VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v")


def how_to_convert(entries: Sequence[Path], otherwise: str) -> str:
    """What to do about entries that were left out, if they are images or videos of formats that are not read."""
    endings = {entry.suffix.lower() for entry in entries if not entry.is_dir()}
    images, videos = sorted(endings.intersection(OTHER_IMAGES)), sorted(endings.intersection(_VIDEOS))
    if images:
        return f"Convert the files ending in {' and '.join(images)} to PNG."
    if ".npy" in endings:
        return "Save the arrays in the files ending in .npy as PNG."
    if videos:
        return f"Save the frames of the files ending in {' and '.join(videos)} as PNG, a sub-folder for each."
    return otherwise


def check_depth(files: Sequence[Path], facts: Sequence[zoo.ImageFacts | zoo.ClipFacts], max_value: int | None) -> None:
    """Refuse images of 16 bits, all or some of which are so dark that their values must have fewer bits.

    Raises:
        zoo.BadFile: the message names a file.
    """
    deep = [(one.brightest, file) for file, one in zip(files, facts, strict=True) if one.brightest is not None]
    if not deep:
        return
    brightest, file = max(deep, key=lambda one: one[0])
    if max_value is None and 0 < brightest < _FEW_BITS:
        raise zoo.BadFile(
            f"the values of all images of 16 bits end at {brightest} (in {file}): with {MAX_16_BIT} as white they "
            "would be nearly black.",
            f"Set the value of white, for example `dataset.max_value={max(255, 2 ** brightest.bit_length() - 1)}`.",
        )
    few = [one for one in deep if 0 < one[0] < _FEW_BITS]
    dark = [one for one in few if one[0] < _DARK]
    if max_value is None and (dark or 2 * len(few) >= len(deep)):
        darkest, dark_file = min(dark or few, key=lambda one: one[0])
        raise zoo.BadFile(
            f"the images of 16 bits have different depths: the values of {dark_file} end at {darkest}, and those of "
            f"{file} at {brightest}.",
            f"Scale all of them to 0..{MAX_16_BIT}; or, if that is white in all, write "
            f"`dataset.max_value={MAX_16_BIT}`.",
        )
    if max_value is not None and brightest > max_value:
        raise zoo.BadFile(
            f"{file} holds values up to {brightest}, but dataset.max_value is {max_value}.",
            f"Write `dataset.max_value={brightest}` or more.",
        )


def conversions(files: Sequence[Path], facts: Sequence[zoo.ImageFacts | zoo.ClipFacts], channels: int) -> list[str]:
    """What reading changes in some of the images, a phrase each."""
    gray = [file.name for file, one in zip(files, facts, strict=True) if one.channels == 1]
    transparent = [file.name for file, one in zip(files, facts, strict=True) if one.transparent]
    cmyk = [file.name for file, one in zip(files, facts, strict=True) if one.channels == 4]
    notes = []
    if 0 < len(gray) < len(files):
        kind = "RGB" if channels == 3 else "gray"
        notes.append(f"{len(gray)} of {len(files)} images are gray and the others have colors; all are read as {kind}")
    if transparent:
        notes.append(f"transparent pixels of {len(transparent)} images are blended with black ({listed(transparent)})")
    if cmyk:
        notes.append(f"{len(cmyk)} CMYK images are converted without their color profile ({listed(cmyk)})")
    return notes
