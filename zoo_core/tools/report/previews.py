"""The pictures that a run drew of itself, small enough for a page."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo_core.errors import one_line

MOST_PICTURES = 24
MOST_BYTES = 6 * 2**20  # of all pictures of a page
_MOST_SIDE = 800  # pixels
_NAME = re.compile(r"step-(\d+)\.(?:png|jpe?g|webp)")


@dataclass(frozen=True)
class Picture:
    """``source`` is a data URI; ``width`` and ``height`` are in pixels."""

    step: int
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Film:
    """The pictures in the order of their steps, and what is said of those that are not among them."""

    pictures: list[Picture]
    note: str


def read_film(folder: Path, most_bytes: int = MOST_BYTES) -> Film:
    """The pictures ``step-NUMBER.png`` in ``folder``, evenly chosen if there are many, always with first and last."""
    found = sorted(_numbered(folder))
    chosen = evenly(found, MOST_PICTURES)
    pictures: list[Picture] = []
    damaged, held = 0, 0
    for step, path in chosen:
        picture = _picture(step, path)
        if picture is None:
            damaged += 1
        elif held + len(picture.source) <= most_bytes:
            pictures.append(picture)
            held += len(picture.source)
    notes = []
    left = len(found) - len(pictures) - damaged
    if left:
        notes.append(f"{left:,} of {len(found):,} pictures are left out, to keep the page small.")
    if damaged:
        notes.append(f"{damaged:,} could not be read.")
    return Film(pictures, " ".join(notes))


def evenly(items: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """At most ``most`` of the items, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return [(int(match[1]), path) for match, path in named if match]


def _picture(step: int, path: Path) -> Picture | None:
    """The file as it is if it is a small PNG, else made smaller; None, and a warning, if it is no picture."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                image.thumbnail((_MOST_SIDE, _MOST_SIDE))
                kept = io.BytesIO()
                image.save(kept, "PNG", optimize=True)
                width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        warnings.warn(f"{path} is no picture that can be read: {one_line(str(error))}.", stacklevel=2)
        return None
    source = "data:image/png;base64," + base64.b64encode(kept.getvalue()).decode("ascii")
    return Picture(step, source, width, height)
