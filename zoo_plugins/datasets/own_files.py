"""What the datasets of a user's own files have in common: what is left out, converted or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import zoo_core as zoo

MAX_16_BIT = 65535
_DARK = 4096
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


def listed(names: Sequence[str]) -> str:
    """The first few names."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def check_depth(files: Sequence[Path], facts: Sequence[zoo.ImageFacts], max_value: int | None) -> None:
    """Refuse images of 16 bits that are all so dark that their values must have fewer bits.

    Raises:
        zoo.BadFile: the message names a file.
    """
    deep = [(one.brightest, file) for file, one in zip(files, facts, strict=True) if one.brightest is not None]
    if not deep:
        return
    brightest, file = max(deep, key=lambda one: one[0])
    if max_value is None and 0 < brightest < _DARK:
        raise zoo.BadFile(
            f"the values of all images of 16 bits end at {brightest} (in {file}): with {MAX_16_BIT} as white they "
            "would be nearly black.",
            f"Set the value of white, for example `dataset.max_value={max(255, 2 ** brightest.bit_length() - 1)}`.",
        )
    if max_value is not None and brightest > max_value:
        raise zoo.BadFile(
            f"{file} holds values up to {brightest}, but dataset.max_value is {max_value}.",
            f"Write `dataset.max_value={brightest}` or more.",
        )


def conversions(files: Sequence[Path], facts: Sequence[zoo.ImageFacts], channels: int) -> list[str]:
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
