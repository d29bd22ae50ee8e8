"""The previews of a run, reduced in size and number for the page."""

from __future__ import annotations

import base64
import csv
import io
import re
import warnings
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from zoo_core.data.table_csv import is_number, read_csv, shown
from zoo_core.errors import one_line
from zoo_core.files import stat_regular

MAX_FRAMES = 24
"""Steps of which a preview is shown."""
MAX_BYTES = 6 * 2**20  # of all previews of a page
_MAX_SIDE = 800  # pixels
_MIN_SIDE = 96  # pixels of the longer side as it is displayed; smaller images are enlarged
_MAX_ROWS = 200
_MAX_CHARACTERS = 20_000
_NAME = re.compile(r"step-(\d+)(?:-(.+))?\.(png|jpe?g|webp|txt|csv|wav)")
_KINDS = {"txt": "text", "csv": "table", "wav": "audio"}
T = TypeVar("T")


@dataclass(frozen=True)
class Frame:
    """What a preview shows at one step: ``content`` is what the page needs for its kind."""

    step: int
    content: dict[str, Any]
    size: int
    """In bytes, about."""


@dataclass(frozen=True)
class Track:
    """A preview of one name and kind, in the order of its steps. The name is empty for a preview that has none."""

    name: str
    kind: str
    frames: list[Frame] = field(default_factory=list)


@dataclass(frozen=True)
class Previews:
    """The previews of a run, and a note on what is left out."""

    tracks: list[Track]
    note: str


def read_previews(folder: Path, max_bytes: int = MAX_BYTES) -> Previews:
    """The files ``step-NUMBER.png`` and ``step-NUMBER-NAME.txt`` in ``folder``, and those of other kinds.

    Of many, evenly spaced ones are read, with the first and the last. If they are too large together, the newest of
    every track are preferred.
    """
    found = _found(folder)
    chosen = {key: evenly_spaced(files, MAX_FRAMES) for key, files in found.items()}
    newest_first = sorted(
        ((key, step, path) for key, files in chosen.items() for step, path in files),
        key=lambda one: one[1:] != chosen[one[0]][-1],
    )
    tracks = {key: Track(*key) for key in found}
    damaged, total_bytes = 0, 0
    for key, step, path in newest_first:
        frame = _read(step, path, key[1])
        if frame is None:
            damaged += 1
        elif total_bytes + frame.size <= max_bytes:
            tracks[key].frames.append(frame)
            total_bytes += frame.size
    for track in tracks.values():
        track.frames.sort(key=lambda one: one.step)
    count = sum(map(len, found.values()))
    left_out = count - sum(len(track.frames) for track in tracks.values()) - damaged
    notes = []
    if left_out:
        notes.append(f"{left_out:,} of {count:,} previews are left out to limit the size of the page.")
    if damaged:
        notes.append(f"{damaged:,} could not be read.")
    return Previews([track for track in tracks.values() if track.frames], " ".join(notes))


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of the items, including the first and the last."""
    if len(items) <= count:
        return list(items)
    return [items[round(number * (len(items) - 1) / (count - 1))] for number in range(count)]


def _found(folder: Path) -> dict[tuple[str, str], list[tuple[int, Path]]]:
    """The files by name and kind, each in the order of their steps."""
    found: dict[tuple[str, str], list[tuple[int, Path]]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            found.setdefault((match[2] or "", _KINDS.get(match[3], "image")), []).append((int(match[1]), path))
    return {key: sorted(found[key]) for key in sorted(found)}


def _read(step: int, path: Path, kind: str) -> Frame | None:
    """The preview in a file; None, and a warning, if it can't be read."""
    from PIL import Image

    read: dict[str, Callable[[Path], tuple[dict[str, Any], int]]] = {
        "image": _image, "text": _text, "table": _table, "audio": _audio,
    }  # fmt: skip
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    damage = (OSError, ValueError, SyntaxError, EOFError, csv.Error, wave.Error, *bombs)
    try:
        stat_regular(path)
        content, size = read[kind](path)
    except damage as error:
        what = f"an {kind}" if kind == "image" else {"audio": "audio", "text": "text"}.get(kind, f"a {kind}")
        warnings.warn(f"{path} can't be read as {what}: {one_line(str(error))}.", stacklevel=2)
        return None
    return Frame(step, content, size)


def _image(path: Path) -> tuple[dict[str, Any], int]:
    """The image as a PNG of limited size."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=("PNG", "JPEG", "GIF", "WEBP", "TIFF")) as image:
            image.load()
            image.thumbnail((_MAX_SIDE, _MAX_SIDE))
            buffer = io.BytesIO()
            image.save(buffer, "PNG", optimize=True)
            enlarged = max(1, _MIN_SIDE // max(image.size))
            width, height = (side * enlarged for side in image.size)
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"source": source, "width": width, "height": height}, len(source)


def _text(path: Path) -> tuple[dict[str, Any], int]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        text = file.read(_MAX_CHARACTERS + 1)
    text = f"{text[:_MAX_CHARACTERS]}\n…" if len(text) > _MAX_CHARACTERS else text
    return {"text": text}, len(text)


def _table(path: Path) -> tuple[dict[str, Any], int]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        columns, *rows = list(islice(read_csv(file), 1 + _MAX_ROWS + 1)) or [[]]
    more = len(rows) > _MAX_ROWS
    cells = [[_shown(cell[:_MAX_CHARACTERS]) for cell in row] for row in rows[:_MAX_ROWS]]
    return {"columns": columns, "rows": cells, "more": more}, sum(map(len, (str(row) for row in [columns, *cells])))


def _audio(path: Path) -> tuple[dict[str, Any], int]:
    content = path.read_bytes()
    with wave.open(io.BytesIO(content)) as file:
        if not file.getnframes():
            raise ValueError("it has no samples")
    source = "data:audio/wav;base64," + base64.b64encode(content).decode("ascii")
    return {"source": source}, len(source)


def _shown(field: str) -> str:
    """A field of a CSV file for a reader: six digits of a fraction. A text such as ``1.10`` is no fraction."""
    return shown(float(field)) if is_number(field) and repr(float(field)) == field else field
