"""Find the classes of masks in the values of their pixels, where nothing else says them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX
from zoo_plugins.datasets.mask_occurring import (
    HOW_TO_SAVE,
    MAX_CLASSES,
    FoundClasses,
    Occurring,
    classes_of_table,
    listed,
    refuse_smoothed,
)
from zoo_plugins.datasets.mask_table import ClassTable

_SEVERAL = 3  # values between others
_FEW = 6  # values of which each may be a class, though there are few pixels of it
_EDGES = 0.03  # of all pixels; fewer between black and white are perhaps no classes


def find_values(
    paths: Sequence[Path], facts: Sequence[zoo.MaskFacts], table: ClassTable | None, ignore_index: int
) -> FoundClasses:
    """The classes of grayscale masks, and of palettes whose index counts.

    Raises:
        zoo.BadFile: if the values may mean one thing or another, or there are too many, or only one; the message says
            what to write.
    """
    masks = Occurring(paths, [dict(zip(one.values, one.counts, strict=True)) for one in facts])
    if table is not None:
        return _by_table_of_values(masks, table, ignore_index)
    if looks_like_instances(facts):
        raise zoo.BadFile(
            f"the values of the masks seem to number objects: {_most_values(paths, facts)}, and others fewer.",
            "Write `dataset.instances=semantic` for the classes background and object, or `dataset.num_classes=N` if "
            "the values are classes.",
        )
    refuse_smoothed(masks, "values")
    values = masks.values
    if len(values) < 2:
        raise zoo.BadFile(
            f"all masks contain the value {values[0]} only, as {paths[0]}.",
            "Masks of at least two classes are needed; if others are missing here, write `dataset.num_classes=N`.",
        )
    if values == [0, 255] and ignore_index == IGNORE_INDEX:
        return _black_and_white(paths, facts)
    return _with_ignored(masks, ignore_index) if ignore_index in values else _without_ignored(masks)


def _black_and_white(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts]) -> FoundClasses:
    if any(one.kind == "palette" for one in facts):
        found = "0 and 255 of a palette, where 255 may be a class or ignored"
        raise _ambiguous(paths[0], found, [0, 255], ())
    note = "the masks contain 0 and 255: 0 is class 0, background, and 255 is class 1, foreground"
    return FoundClasses((0, 255), (), ("background", "foreground"), [note])


def _with_ignored(masks: Occurring, ignore_index: int) -> FoundClasses:
    values = masks.values
    classes = [value for value in values if value != ignore_index]
    note = f"pixels with the value {ignore_index} are ignored"
    if len(classes) > 1 and _is_consecutive(classes):
        return FoundClasses(tuple(classes), (ignore_index,), notes=[note, *_start_note(classes)])
    if len(classes) > 1 and _are_indices(classes):
        return FoundClasses(tuple(range(classes[-1] + 1)), (ignore_index,), notes=[note])
    last = masks.first_with(ignore_index)
    if ignore_index == IGNORE_INDEX:
        _refuse_edges(masks, least=1 if _is_even(values) else _SEVERAL)
        if _is_even(values):
            return FoundClasses(tuple(values), notes=[_mapped_note(values)])
    if len(classes) > 1 and ignore_index != IGNORE_INDEX:
        return FoundClasses(tuple(classes), (ignore_index,), notes=[note, _mapped_note(classes)])
    raise _ambiguous(last, f"{listed(values)}, where {ignore_index} may be a class or ignored", values, classes)


def _without_ignored(masks: Occurring) -> FoundClasses:
    values = masks.values
    if _is_consecutive(values):
        return FoundClasses(tuple(values), notes=_start_note(values))
    if _are_indices(values):
        return FoundClasses(tuple(range(values[-1] + 1)))
    if len(values) > 2 and _is_consecutive(values[:-1]):
        found = f"{listed(values)}, where {values[-1]} may be a class, ignored or a mistake"
        raise _ambiguous(masks.first_with(values[-1]), found, values, values[:-1])
    _refuse_edges(masks, least=_SEVERAL)
    return FoundClasses(tuple(values), notes=[_mapped_note(values)])


def _by_table_of_values(masks: Occurring, table: ClassTable, ignore_index: int) -> FoundClasses:
    occurring = masks.values
    values = [line.value for line in table.lines if line.value is not None]
    if not table.has_values:
        values = list(range(len(table.lines)))
        classes = [value for value in occurring if value != ignore_index]
        if len(classes) < 2 or not {*classes} <= {*values}:  # sparse values are named in ascending order
            values = next((some for some in (occurring, classes) if len(some) == len(values)), values)
    found = classes_of_table(table, values)
    known = {*values, ignore_index}
    for path, one in zip(masks.paths, masks.counts, strict=True):
        if unknown := sorted(value for value in one if value not in known):
            error = zoo.BadFile(
                f"{path} contains {listed(unknown)}, but {table.path} names {len(values)} classes, with the values "
                f"{listed(values)}.",
                "Correct it, give the values as `NAME,VALUE`, or write `dataset.classes=null` not to use it.",
            )
            zoo.report_fault(error)
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


def _ambiguous(path: Path, found: str, values: Sequence[int], without: Sequence[int]) -> zoo.BadFile:
    every = _all_classes(values)
    last = values[-1]
    if len(without) > 1:
        ignored = "" if last == IGNORE_INDEX else f" dataset.ignore_index={last}"
        cure = f"Write `dataset.num_classes={len(without)} dataset.class_values={_typed(without)}{ignored}` if {last} "
        cure += f"is ignored, or {every} if all are classes."
    else:
        cure = f"Write {every} if all are classes, or `dataset.num_classes=N` if {last} is ignored."
    return zoo.BadFile(f"the masks contain {found}, as in {path}.", cure)


def _refuse_edges(masks: Occurring, least: int) -> None:
    """Refuse values, ``least`` or more, between the lowest and the highest of so few pixels that they are edges."""
    values, total = masks.values, masks.total
    between = [total[value] for value in values[1:-1]]
    if len(between) < least or sum(between) > _EDGES * total.total():
        return
    if max(between) > min(total[values[0]], total[values[-1]]):  # another one is not an edge between these two
        return
    classes = f" If they are classes, write {_all_classes(values)}." if len(values) <= _FEW else ""
    raise zoo.BadFile(
        f"the masks contain {listed(values)}, of which those between {values[0]} and {values[-1]} have few pixels, as "
        f"in {masks.first_with(values[1])}: they seem to be edges that were smoothed, or resized by interpolation.",
        f"Save the masks again {HOW_TO_SAVE}.{classes}",
    )


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
    return f"the values {listed(values)} of the masks are the classes 0 to {len(values) - 1}"


def _most_values(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts]) -> str:
    path, one = max(zip(paths, facts, strict=True), key=lambda found: len(found[1].values))
    return f"{path} contains {len(one.values)}, up to {one.values[-1]}"


def _all_classes(values: Sequence[int]) -> str:
    return f"`dataset.num_classes={len(values)} dataset.class_values={_typed(values)}`"


def _typed(values: Sequence[int]) -> str:
    return str(list(values)).replace(" ", "")
