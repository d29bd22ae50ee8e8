"""Find the classes of masks in the values or colors of their pixels, where nothing else says them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX
from zoo_plugins.datasets.mask_table import ClassTable

MAX_CLASSES = 255
_MANY_VALUES = 16  # of one file; with smoothed edges it has far more
_RARE = 0.01  # of the pixels of a file
_EDGES = 0.03  # of all pixels; fewer between black and white are perhaps no classes
_VOID = 0xE0E0C0  # of PASCAL VOC, whose objects have a border of it
_SHOWN = 8
_OTHERWISE = {  # what to write if values or colors are many, and right
    "values": "write `dataset.num_classes=N` if they are classes, `dataset.instances=semantic` if they number objects",
    "colors": "name each with its class in a file `classes.csv`: `NAME,RED,GREEN,BLUE`",
}


@dataclass(frozen=True)
class FoundClasses:
    """The value or the color of each class, and of what is ignored.

    Parameters
    ----------
    values : tuple of int
        The value, or the color ``0xRRGGBB``, of class 0, 1, …
    ignored : tuple of int
        The values or colors that belong to no class.
    names : tuple of str
        The names of the classes, or none.
    notes : list of str
        What was decided, a phrase each.
    """

    values: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def find_colors(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts], table: ClassTable | None) -> FoundClasses:
    """The classes of masks in color: those of the table, or all colors, sorted by red, green and blue.

    Raises:
        zoo.BadFile: if a color is not in the table, there are too many, or only one.
    """
    masks = _Occurring(paths, [color_codes(one) for one in facts])
    if table is not None:
        return _by_table_of_colors(masks, table)
    _refuse_smoothed(masks, "colors")
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


def _by_table_of_colors(masks: _Occurring, table: ClassTable) -> FoundClasses:
    if not table.has_colors:
        raise zoo.BadFile(
            f"the masks are in color, as {masks.paths[0]}, but {table.path} does not say the color of each class.",
            "Write a line `NAME,RED,GREEN,BLUE` for each class.",
        )
    known = {line.color for line in table.lines}
    for path, one in zip(masks.paths, masks.counts, strict=True):
        if unknown := [code for code in one if code not in known]:
            _refuse_smoothed(masks, "colors")
            raise zoo.BadFile(
                f"{path} contains the color {_hex(unknown[0])}, which {table.path} does not name.",
                f"Add a line for it, such as `NAME,{_decimal(unknown[0])}`, or `void,{_decimal(unknown[0])}` to ignore "
                "it.",
            )
    return _of_table(table, [line.color for line in table.lines if line.color is not None])


def _of_table(table: ClassTable, values: Sequence[int]) -> FoundClasses:
    kept = [(value, line) for value, line in zip(values, table.lines, strict=True) if not line.is_ignored]
    ignored = tuple(value for value, line in zip(values, table.lines, strict=True) if line.is_ignored)
    if not 2 <= len(kept) <= MAX_CLASSES:
        raise zoo.BadFile(
            f"{table.path} names {len(kept)} classes, but there should be 2 to {MAX_CLASSES}.",
            "Correct it, or write `dataset.classes=null` to use the values in the masks.",
        )
    names = [line.name for line in table.lines if line.is_ignored]
    notes = [f"{table.path.name} names {len(kept)} classes"]
    notes += [f"the pixels of '{name}' are ignored" for name in names]
    return FoundClasses(tuple(value for value, _ in kept), ignored, tuple(line.name for _, line in kept), notes)


def find_values(
    paths: Sequence[Path], facts: Sequence[zoo.MaskFacts], table: ClassTable | None, ignore_index: int
) -> FoundClasses:
    """The classes of grayscale masks, and of palettes whose index counts.

    Raises:
        zoo.BadFile: if the values may mean one thing or another, or there are too many, or only one; the message says
            what to write.
    """
    masks = _Occurring(paths, [dict(zip(one.values, one.counts, strict=True)) for one in facts])
    if table is not None:
        return _by_table_of_values(masks, table, ignore_index)
    if looks_like_instances(facts):
        raise zoo.BadFile(
            f"the values of the masks seem to number objects: {_most_values(paths, facts)}, and others fewer.",
            "Write `dataset.instances=semantic` for the classes background and object, or `dataset.num_classes=N` if "
            "the values are classes.",
        )
    _refuse_smoothed(masks, "values")
    values = masks.values
    if len(values) < 2:
        raise zoo.BadFile(
            f"all masks contain the value {values[0]} only, as {paths[0]}.",
            "Masks of at least two classes are needed; if others are missing here, write `dataset.num_classes=N`.",
        )
    if values == [0, 255] and ignore_index == IGNORE_INDEX:
        return _black_and_white(paths, facts)
    return _with_ignored(masks, ignore_index) if ignore_index in values else _without_ignored(masks)


@dataclass(frozen=True)
class _Occurring:
    """The number of pixels of each value in each mask."""

    paths: Sequence[Path]
    counts: Sequence[dict[int, int]]

    @cached_property
    def total(self) -> Counter[int]:
        total: Counter[int] = Counter()
        for one in self.counts:
            total.update(one)
        return total

    @property
    def values(self) -> list[int]:
        return sorted(self.total)

    def first_with(self, value: int) -> Path:
        return next(path for path, one in zip(self.paths, self.counts, strict=True) if value in one)


def _black_and_white(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts]) -> FoundClasses:
    if any(one.kind == "palette" for one in facts):
        found = "0 and 255 of a palette, where 255 may be a class or ignored"
        raise _ambiguous(paths[0], found, [0, 255], ())
    note = "the masks contain 0 and 255: 0 is class 0, background, and 255 is class 1, foreground"
    return FoundClasses((0, 255), (), ("background", "foreground"), [note])


def _with_ignored(masks: _Occurring, ignore_index: int) -> FoundClasses:
    values = masks.values
    classes = [value for value in values if value != ignore_index]
    note = f"pixels with the value {ignore_index} are ignored"
    if len(classes) > 1 and _is_consecutive(classes):
        return FoundClasses(tuple(classes), (ignore_index,), notes=[note, *_start_note(classes)])
    if len(classes) > 1 and _are_indices(classes):
        return FoundClasses(tuple(range(classes[-1] + 1)), (ignore_index,), notes=[note])
    last = masks.first_with(ignore_index)
    if ignore_index == IGNORE_INDEX and _is_even(values):
        if sum(masks.total[value] for value in values[1:-1]) > _EDGES * masks.total.total():
            return FoundClasses(tuple(values), notes=[_mapped_note(values)])
        found = f"{_listed(values)}, of which those between 0 and 255 may be smoothed edges"
        raise _ambiguous(last, found, values, ())
    if len(classes) > 1 and ignore_index != IGNORE_INDEX:
        return FoundClasses(tuple(classes), (ignore_index,), notes=[note, _mapped_note(classes)])
    raise _ambiguous(last, f"{_listed(values)}, where {ignore_index} may be a class or ignored", values, classes)


def _without_ignored(masks: _Occurring) -> FoundClasses:
    values = masks.values
    if _is_consecutive(values):
        return FoundClasses(tuple(values), notes=_start_note(values))
    if _are_indices(values):
        return FoundClasses(tuple(range(values[-1] + 1)))
    if len(values) > 2 and _is_consecutive(values[:-1]):
        found = f"{_listed(values)}, where {values[-1]} may be a class, ignored or a mistake"
        raise _ambiguous(masks.first_with(values[-1]), found, values, values[:-1])
    return FoundClasses(tuple(values), notes=[_mapped_note(values)])


def _by_table_of_values(masks: _Occurring, table: ClassTable, ignore_index: int) -> FoundClasses:
    occurring = masks.values
    values = [line.value for line in table.lines if line.value is not None]
    if not table.has_values:
        values = list(range(len(table.lines)))
        classes = [value for value in occurring if value != ignore_index]
        if len(classes) < 2 or not {*classes} <= {*values}:  # sparse values are named in ascending order
            values = next((some for some in (occurring, classes) if len(some) == len(values)), values)
    found = _of_table(table, values)
    known = {*values, ignore_index}
    for path, one in zip(masks.paths, masks.counts, strict=True):
        if unknown := sorted(value for value in one if value not in known):
            raise zoo.BadFile(
                f"{path} contains {_listed(unknown)}, but {table.path} names {len(values)} classes, with the values "
                f"{_listed(values)}.",
                "Correct it, give the values as `NAME,VALUE`, or write `dataset.classes=null` not to use it.",
            )
    ignored = found.ignored if ignore_index in values else (*found.ignored, ignore_index)
    return FoundClasses(found.values, ignored, found.names, found.notes)


def looks_like_instances(facts: Sequence[zoo.MaskFacts]) -> bool:
    """Whether the values number the objects of each image: 0, 1, … N, where N differs, or values of one file only."""
    numbered = [[value for value in one.values if value] for one in facts]
    numbered = [values for values in numbered if values]
    of_files = Counter(value for values in numbered for value in values)
    if len(numbered) < 2 or len(of_files) < 10:
        return False
    consecutive = [values for values in numbered if values[0] == 1 and values[-1] == len(values)]
    lengths = {len(values) for values in consecutive}
    if len(consecutive) >= 0.8 * len(numbered) and len(lengths) > 1 and max(lengths) >= 10:
        return len(lengths) >= min(3, len(consecutive))
    alone = sum(count == 1 for count in of_files.values())
    return len(of_files) > MAX_CLASSES and alone >= 0.9 * len(of_files)


def _refuse_smoothed(masks: _Occurring, what: str) -> None:
    """Refuse masks whose edges were smoothed, or that were saved as a JPEG: many values of very few pixels."""
    smoothed = []
    for path, one in zip(masks.paths, masks.counts, strict=True):
        pixels = sum(one.values())
        rare = sum(count < _RARE * pixels for count in one.values())
        if len(one) > _MANY_VALUES and rare > 0.75 * len(one):
            smoothed.append((path, one))
    if 2 * len(smoothed) > len(masks.paths) or len(masks.total) > MAX_CLASSES:
        every = list(zip(masks.paths, masks.counts, strict=True))
        path, one = max(smoothed or every, key=lambda found: len(found[1]))
        raise zoo.BadFile(
            f"{path} contains {len(one)} {what}, too many for classes: edges that were smoothed, a JPEG or a photo.",
            f"Save masks as PNG without smoothing or scaling; or {_OTHERWISE[what]}.",
        )


def _ambiguous(path: Path, found: str, values: Sequence[int], without: Sequence[int]) -> zoo.BadFile:
    every = f"`dataset.num_classes={len(values)} dataset.class_values={_typed(values)}`"
    last = values[-1]
    if len(without) > 1:
        ignored = "" if last == IGNORE_INDEX else f" dataset.ignore_index={last}"
        cure = f"Write `dataset.num_classes={len(without)} dataset.class_values={_typed(without)}{ignored}` if {last} "
        cure += f"is ignored, or {every} if all are classes."
    else:
        cure = f"Write {every} if all are classes, or `dataset.num_classes=N` if {last} is ignored."
    return zoo.BadFile(f"the masks contain {found}, as in {path}.", cure)


def _is_consecutive(values: Sequence[int]) -> bool:
    return values[0] in (0, 1) and list(values) == list(range(values[0], values[0] + len(values)))


def _are_indices(values: Sequence[int]) -> bool:
    """Whether at least half of the numbers up to the largest occur, so that the others are classes that are absent."""
    return values[-1] < 2 * len(values) and values[-1] < MAX_CLASSES


def _is_even(values: Sequence[int]) -> bool:
    """Whether values are spread evenly from 0 to 255, as classes are for display."""
    step = values[-1] / (len(values) - 1)
    return values[0] == 0 and all(abs(value - number * step) <= 1 for number, value in enumerate(values))


def _start_note(values: Sequence[int]) -> list[str]:
    return [_mapped_note(values)] if values[0] else []


def _mapped_note(values: Sequence[int]) -> str:
    return f"the values {_listed(values)} of the masks are the classes 0 to {len(values) - 1}"


def _most_values(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts]) -> str:
    path, one = max(zip(paths, facts, strict=True), key=lambda found: len(found[1].values))
    return f"{path} contains {len(one.values)}, up to {one.values[-1]}"


def _is_of_voc(colors: Sequence[int]) -> bool:
    """Whether all channels are those of the colors of PASCAL VOC, apart from the border."""
    channels = {code >> shift & 255 for code in colors if code != _VOID for shift in (0, 8, 16)}
    return channels <= {0, 64, 128, 192}


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:_SHOWN])) + (", …" if len(values) > _SHOWN else "")


def _typed(values: Sequence[int]) -> str:
    return str(list(values)).replace(" ", "")


def _hex(color: int) -> str:
    return f"#{color:06x}"


def _decimal(color: int) -> str:
    return f"{color >> 16},{color >> 8 & 255},{color & 255}"
