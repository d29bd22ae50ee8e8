"""Read the classes of mask files by the coding that all files of a data set have: values, colors or objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX, MaskClasses
from zoo_plugins.datasets.mask_colors import color_codes, find_colors
from zoo_plugins.datasets.mask_occurring import FoundClasses
from zoo_plugins.datasets.mask_table import ClassTable
from zoo_plugins.datasets.mask_values import find_values

_OBJECT_NAMES = ("background", "object")


class MaskReader(Protocol):
    """Reads the classes (H, W) int64 of a mask file; 255 is ignored."""

    def read(self, path: Path) -> Tensor: ...


@dataclass(frozen=True)
class Coding:
    """How masks are read, and what is known of their classes.

    Parameters
    ----------
    reader : MaskReader
        Reads a file.
    num_classes : int
        The number of classes.
    names : tuple of str
        Their names, or none.
    values : tuple of int
        The value or color of each class, if they were found in the files; otherwise none.
    notes : list of str
        What was decided, a phrase each.
    """

    reader: MaskReader
    num_classes: int
    names: tuple[str, ...] = ()
    values: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class CodingSettings:
    """What the settings of a data set say of its masks."""

    num_classes: int | None
    class_values: tuple[int, ...]
    ignore_index: int
    instances: Literal["refuse", "semantic"]
    table: ClassTable | None


class ColorClasses:
    """Maps the colors ``0xRRGGBB`` of pixels to classes."""

    def __init__(self, found: FoundClasses) -> None:
        classes = [(color, number) for number, color in enumerate(found.values)]
        ordered = sorted([*classes, *((color, IGNORE_INDEX) for color in found.ignored)])
        self._colors = torch.tensor([color for color, _ in ordered])
        self._classes = torch.tensor([number for _, number in ordered])

    def read(self, path: Path) -> Tensor:
        """The classes (H, W) int64 of a mask file.

        Raises:
            zoo.BadFile: if the file can't be read, or contains a color of no class.
        """
        stored = zoo.read_mask(path, colors=True)
        places = torch.searchsorted(self._colors, stored).clamp(max=len(self._colors) - 1)
        unknown = self._colors[places] != stored
        if unknown.any():
            raise zoo.BadFile(
                f"{path} contains the color #{int(stored[unknown][0]):06x}, which is that of no class.",
                "It changed since all masks were checked; start again.",
            )
        return self._classes[places]


class ObjectClasses:
    """0 is background, and every other value, the number of an object, is class 1."""

    def read(self, path: Path) -> Tensor:
        """The classes (H, W) int64 of a mask file."""
        return (zoo.read_mask(path, colors=True) != 0).long()


@runtime_checkable
class SeveralMasksReader(Protocol):
    """Reads the classes (H, W) int64 of all mask files of an image at once."""

    def read_all(self, paths: Sequence[Path]) -> Tensor: ...


def read_merged(reader: MaskReader, paths: Sequence[Path]) -> Tensor:
    """The classes (H, W) of several masks of one image: of a later one wherever it is not background, class 0."""
    if isinstance(reader, SeveralMasksReader):
        return reader.read_all(paths)
    merged = reader.read(paths[0])
    for path in paths[1:]:
        mask = reader.read(path)
        merged = torch.where(mask != 0, mask, merged)
    return merged


def find_coding(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts], settings: CodingSettings) -> Coding:
    """How masks are to be read, by the settings and by what occurs in the files.

    Raises:
        zoo.BadFile: if their values or colors can't be classes, or may mean one thing or another.
        zoo.BadSetting: if settings contradict one another.
    """
    if settings.instances == "semantic":
        return _of_objects(settings)
    table = settings.table
    if _is_by_color(facts, table):
        return _by_color(paths, facts, settings)
    in_color = [path for path, one in zip(paths, facts, strict=True) if one.kind == "gray color"]
    if in_color and any(one.kind == "palette" for one in facts):
        zoo.read_mask(in_color[0])  # refuses it
    if not in_color:
        zoo.check_masks(paths)  # compares palettes
    if settings.num_classes is not None or settings.class_values:
        num_classes = settings.num_classes or len(settings.class_values)
        classes = MaskClasses(num_classes, settings.class_values, settings.ignore_index)
        classes.in_color = bool(in_color)
        names = tuple(line.name for line in table.lines if not line.is_ignored) if table else ()
        if table and len(names) != num_classes:
            raise zoo.BadSetting(
                f"{table.path} names {len(names)} classes, but dataset.num_classes is {num_classes}.",
                "Leave dataset.num_classes out, or correct the file.",
            )
        return Coding(classes, num_classes, names, notes=classes.check(paths, facts))
    found = find_values(paths, facts, table, settings.ignore_index)
    ignore_index, *others = (*found.ignored, *([settings.ignore_index] * (not found.ignored)))
    classes = MaskClasses(len(found.values), found.values, ignore_index, others)
    classes.in_color = bool(in_color)
    notes = found.notes + classes.check(paths, facts)
    return Coding(classes, len(found.values), found.names, found.values, notes)


def with_settings(coding: Coding, num_classes: int | None, class_values: Sequence[int]) -> Coding:
    """A coding whose classes have names, if the settings do not say otherwise.

    Raises:
        zoo.BadSetting: if they do.
    """
    if class_values or num_classes not in (None, coding.num_classes):
        raise zoo.BadSetting(
            f"the annotations have {coding.num_classes} classes ({', '.join(coding.names[:5])}, …), but "
            f"dataset.num_classes is {num_classes} and dataset.class_values is {list(class_values)}.",
            "Leave both out.",
        )
    return coding


def _of_objects(settings: CodingSettings) -> Coding:
    if settings.class_values or settings.num_classes not in (None, 2):
        raise zoo.BadSetting(
            "dataset.instances=semantic makes two classes, background and object, but dataset.num_classes or "
            "dataset.class_values says otherwise.",
            "Leave them out.",
        )
    return Coding(ObjectClasses(), 2, _OBJECT_NAMES, (0, 1), ["every value but 0 is an object, class 1"])


def _is_by_color(facts: Sequence[zoo.MaskFacts], table: ClassTable | None) -> bool:
    """Whether colors say the class: of images in color, of palettes that differ, or by the table."""
    palettes = [one for one in facts if one.kind == "palette"]
    if any(one.kind == "color" for one in facts):
        return True
    if palettes and table is not None and table.has_colors and not table.has_values:
        return True
    return (any(one.kind == "gray palette" for one in facts) and bool(palettes)) or not _palettes_agree(palettes)


def _palettes_agree(palettes: Sequence[zoo.MaskFacts]) -> bool:
    colors: dict[int, tuple[int, int, int]] = {}
    indices: dict[tuple[int, int, int], int] = {}
    return all(
        colors.setdefault(index, color) == color and indices.setdefault(color, index) == index
        for one in palettes
        for index, color in one.colors.items()
    )


def _by_color(paths: Sequence[Path], facts: Sequence[zoo.MaskFacts], settings: CodingSettings) -> Coding:
    given = settings.num_classes
    if given is not None and not any(one.kind == "color" for one in facts) and settings.table is None:
        zoo.check_masks(paths)  # refuses palettes that differ
    colored = next(path for path, one in zip(paths, facts, strict=True) if one.kind in ("color", "palette"))
    for path, one in zip(paths, facts, strict=True):
        if one.kind in ("gray", "1-bit") and one.values != (0,):
            raise zoo.BadFile(f"{path} is in grayscale, and {colored} has colors.", "Save all masks in the same mode.")
    if settings.class_values:
        raise zoo.BadSetting(
            f"dataset.class_values is {list(settings.class_values)}, but {colored} has colors.",
            "Leave it out, and name the classes with their colors in a file `classes.csv`: `NAME,RED,GREEN,BLUE`.",
        )
    found = find_colors(paths, facts, settings.table)
    if given is not None and given != len(found.values):
        raise zoo.BadFile(
            f"the masks contain {len(found.values)} colors, as {colored}, but dataset.num_classes is {given}.",
            "Leave dataset.num_classes out, or name the classes with their colors in a file `classes.csv`: "
            "`NAME,RED,GREEN,BLUE`.",
        )
    return Coding(ColorClasses(found), len(found.values), found.names, found.values, found.notes)


def counts_of_classes(coding: Coding, facts: Sequence[zoo.MaskFacts]) -> list[int]:
    """The number of pixels of each class in some masks, as far as they are known from the check of all files."""
    counts = [0] * coding.num_classes
    if isinstance(coding.reader, ObjectClasses):
        of_class = None
    else:
        values = coding.values or getattr(coding.reader, "values", ())
        of_class = {value: number for number, value in enumerate(values)}
    for one in facts:
        by_color = isinstance(coding.reader, ColorClasses)
        found = color_codes(one) if by_color else dict(zip(one.values, one.counts, strict=True))
        for value, count in found.items():
            number = int(value != 0) if of_class is None else of_class.get(value)
            if number is not None:
                counts[number] += count
    return counts
