"""The preview images of a run, reduced in size and number for the page."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo_core.errors import one_line

MAX_IMAGES = 24
MAX_BYTES = 6 * 2**20  # of all images of a page
_MAX_SIDE = 800  # pixels
_NAME = re.compile(r"step-(\d+)\.(?:png|jpe?g|webp)")


@dataclass(frozen=True)
class PreviewImage:
    """One preview as a data URI ``source``; ``width`` and ``height`` are in pixels."""

    step: int
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Previews:
    """The images in the order of their steps, and a note on those that are left out."""

    images: list[PreviewImage]
    note: str


def read_previews(folder: Path, max_bytes: int = MAX_BYTES) -> Previews:
    """The images ``step-NUMBER.png`` in ``folder``; of many, evenly spaced ones with the first and last."""
    found = sorted(_numbered(folder))
    chosen = evenly_spaced(found, MAX_IMAGES)
    images: list[PreviewImage] = []
    damaged, total_bytes = 0, 0
    for step, path in chosen:
        image = _read_image(step, path)
        if image is None:
            damaged += 1
        elif total_bytes + len(image.source) <= max_bytes:
            images.append(image)
            total_bytes += len(image.source)
    notes = []
    left_out = len(found) - len(images) - damaged
    if left_out:
        notes.append(f"{left_out:,} of {len(found):,} images are left out to limit the size of the page.")
    if damaged:
        notes.append(f"{damaged:,} could not be read.")
    return Previews(images, " ".join(notes))


def evenly_spaced(items: Sequence[tuple[int, Path]], count: int) -> list[tuple[int, Path]]:
    """At most ``count`` of the items, including the first and the last."""
    if len(items) <= count:
        return list(items)
    return [items[round(number * (len(items) - 1) / (count - 1))] for number in range(count)]


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return [(int(match[1]), path) for match, path in named if match]


def _read_image(step: int, path: Path) -> PreviewImage | None:
    """The image as a PNG of limited size; None, and a warning, if the file can't be read as an image."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                image.thumbnail((_MAX_SIDE, _MAX_SIDE))
                buffer = io.BytesIO()
                image.save(buffer, "PNG", optimize=True)
                width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        warnings.warn(f"{path} can't be read as an image: {one_line(str(error))}.", stacklevel=2)
        return None
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return PreviewImage(step, source, width, height)
