"""Find the classes of masks in the colors of their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_occurring import FoundClasses, Occurring, classes_of_table, refuse_smoothed
from zoo_plugins.datasets.mask_table import ClassTable

_VOID = 0xE0E0C0  # of PASCAL VOC, whose objects have a border of it
_SHOWN = 8


def find_colors(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts], table: ClassTable | None) -> FoundClasses:
    """The classes of masks in color: those of the table, or all colors, sorted by red, green and blue.

    Raises:
        zoo.BadFile: if a color is not in the table, there are too many, or only one.
    """
    masks = Occurring(paths, [color_codes(one) for one in facts])
    if table is not None:
        return _by_table_of_colors(masks, table)
    refuse_smoothed(masks, "colors")
    colors = masks.values
    ignored = tuple(color for color in colors if color == _VOID and _is_of_voc(colors))
    classes = tuple(color for color in colors if color not in ignored)
    if len(classes) < 2:
        raise zoo.BadFile(
            f"all masks contain the color {_hex(classes[0] if classes else colors[0])} only, as {paths[0]}.",
            "Masks of at least two classes are needed; name those that are missing in a file `classes.csv`.",
        )
    named = ", ".join(f"{number} {_hex(color)}" for number, color in enumerate(classes[:_SHOWN]))
    more = ", …" if len(classes) > _SHOWN else ""
    notes = [f"the {len(classes)} colors of the masks are the classes: {named}{more}"]
    notes += [f"the color {_hex(_VOID)} is ignored, as in PASCAL VOC"] * bool(ignored)
    return FoundClasses(classes, ignored, notes=notes)


def color_codes(facts: zoo.MaskFacts) -> dict[int, int]:
    """The colors ``0xRRGGBB`` in a mask, and the number of pixels of each; those of a grayscale image are its grays."""
    found: dict[int, int] = {}
    for value, count in zip(facts.values, facts.counts, strict=True):
        if facts.kind == "palette":
            red, green, blue = facts.colors.get(value, (0, 0, 0))  # an index beyond the palette is refused on reading
            code = red << 16 | green << 8 | blue
        else:
            code = value if facts.kind == "color" else value * 0x010101
        found[code] = found.get(code, 0) + count
    return found


def _by_table_of_colors(masks: Occurring, table: ClassTable) -> FoundClasses:
    if not table.has_colors:
        raise zoo.BadFile(
            f"the masks are in color, as {masks.paths[0]}, but {table.path} does not say the color of each class.",
            "Write a line `NAME,RED,GREEN,BLUE` for each class.",
        )
    known = {line.color for line in table.lines}
    for path, one in zip(masks.paths, masks.counts, strict=True):
        if unknown := [code for code in one if code not in known]:
            refuse_smoothed(masks, "colors")
            raise zoo.BadFile(
                f"{path} contains the color {_hex(unknown[0])}, which {table.path} does not name.",
                f"Add a line for it, such as `NAME,{_decimal(unknown[0])}`, or `void,{_decimal(unknown[0])}` to ignore "
                "it.",
            )
    return classes_of_table(table, [line.color for line in table.lines if line.color is not None])


def _is_of_voc(colors: Sequence[int]) -> bool:
    """Whether all channels are those of the colors of PASCAL VOC, apart from the border."""
    channels = {code >> shift & 255 for code in colors if code != _VOID for shift in (0, 8, 16)}
    return channels <= {0, 64, 128, 192}


def _hex(color: int) -> str:
    return f"#{color:06x}"


def _decimal(color: int) -> str:
    return f"{color >> 16},{color >> 8 & 255},{color & 255}"
