"""Files that name the classes of masks: one name a line, or names with values or colors, as CVAT and CamVid have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_folders import list_folder

NAMES = (
    *("classes.csv", "classes.txt", "labelmap.txt", "class_dict.csv", "label_colors.txt", "class_names.txt"),
    "codes.txt",
)
IGNORED_NAMES = ("void", "unlabeled", "unlabelled", "ignore", "ignored", "ignore_index")
_SEP = r"[\s,;:]+"
_RGB = r"(?P<red>\d{1,3})[\s,;]+(?P<green>\d{1,3})[\s,;]+(?P<blue>\d{1,3})"
_END = r"(?:[:,;].*)?"
_FORMS = [
    re.compile(pattern)
    for pattern in (
        rf"(?P<value>\d+){_SEP}(?P<name>.*[^\W\d].*?){_SEP}{_RGB}{_END}",
        rf"(?P<name>.*[^\W\d].*?){_SEP}(?P<value>\d+){_SEP}{_RGB}{_END}",
        rf"{_RGB}{_SEP}(?P<name>.+)",
        rf"(?P<name>.+?){_SEP}{_RGB}{_END}",
        rf"(?P<name>.+?){_SEP}#(?P<hex>[0-9a-fA-F]{{6}})",
        rf"#(?P<hex>[0-9a-fA-F]{{6}}){_SEP}(?P<name>.+)",
        rf"(?P<value>\d+){_SEP}(?P<name>.+)",
        r"(?P<name>[^,;\t:]+?)\s*[,;\t:]\s*(?P<value>\d+)",
        r"(?P<name>[^,;\t]+?)",
    )
]
_HEADER = re.compile(r"[^\d]*\b(name|class|label|id|index|value)s?\b[^\d]*", re.IGNORECASE)
_HOW = "Write a line for each class: `NAME`, `NAME,VALUE` or `NAME,RED,GREEN,BLUE`."


@dataclass(frozen=True)
class ClassLine:
    """A class as a file names it: its value or color in the masks, if the file says so."""

    name: str
    value: int | None
    color: int | None  # 0xRRGGBB

    @property
    def is_ignored(self) -> bool:
        """Whether pixels of this name belong to no class."""
        return self.name.lower() in IGNORED_NAMES


@dataclass(frozen=True)
class ClassTable:
    """The classes of a file in its order."""

    path: Path
    lines: list[ClassLine]

    @property
    def has_colors(self) -> bool:
        return all(line.color is not None for line in self.lines)

    @property
    def has_values(self) -> bool:
        return all(line.value is not None for line in self.lines)


def find_table(folder: Path, name: str | None) -> ClassTable | None:
    """The table of a folder: the file ``name`` below it, or the one with a usual name if it is empty.

    Raises:
        zoo.ZooError: if there are several, or the file can't be read as a table.
    """
    if name is None:
        return None
    if name:
        return read_table(folder / Path(name).expanduser())
    found = [path for path in list_folder(folder) if path.name.lower() in NAMES and path.is_file()]
    if len(found) > 1:
        raise zoo.ZooError(
            f"{folder} contains {found[0].name} and {found[1].name}, and both may name the classes.",
            f"Write `dataset.classes={found[0].name}`, or `dataset.classes=null` to use neither.",
        )
    return read_table(found[0]) if found else None


def read_table(path: Path) -> ClassTable:
    """The classes that a file names.

    Raises:
        zoo.BadFile: if it can't be read, its lines have different forms, or a name, value or color is there twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise zoo.BadFile(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.", _HOW) from error
    rows = [(number, row.strip()) for number, row in enumerate(text.splitlines(), start=1)]
    rows = [(number, row) for number, row in rows if row and not re.match(r"#(?![0-9a-fA-F]{6})|//", row)]
    if len(rows) > 1 and _HEADER.fullmatch(rows[0][1]) and re.search(r"[,;\t]", rows[0][1]):
        rows = rows[1:]
    form = next((one for one in _FORMS if rows and one.fullmatch(rows[0][1])), None)
    if form is None:
        raise zoo.BadFile(f"{path} names no classes.", _HOW)
    lines = []
    for number, row in rows:
        found = form.fullmatch(row)
        if found is None:
            raise zoo.BadFile(f"{path}, line {number}, differs from the lines before it: {row!r:.100}.", _HOW)
        lines.append(_line(path, number, found.groupdict()))
    for what in ("name", "value", "color"):
        values = [getattr(line, what) for line in lines if getattr(line, what) is not None]
        twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if twice is not None:
            shown = f"#{twice:06x}" if what == "color" else twice
            raise zoo.BadFile(f"{path} gives the {what} {shown} to two classes.", "Correct one of them.")
    return ClassTable(path, lines)


def _line(path: Path, number: int, found: dict[str, str]) -> ClassLine:
    color = int(found["hex"], 16) if "hex" in found else None
    if "red" in found:
        channels = [int(found[name]) for name in ("red", "green", "blue")]
        if max(channels) > 255:
            raise zoo.BadFile(f"{path}, line {number}, has the color {channels}, beyond 255.", _HOW)
        color = channels[0] << 16 | channels[1] << 8 | channels[2]
    value = int(found["value"]) if "value" in found else None
    return ClassLine(found["name"].strip().strip("\"'"), value, color)
