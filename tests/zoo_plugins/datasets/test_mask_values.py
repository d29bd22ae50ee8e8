"""The classes are found in the values or colors of masks where these can mean one thing only; else they are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_table import ClassLine, ClassTable
from zoo_plugins.datasets.mask_values import find_values, looks_like_instances


def facts_of(mask, kind="gray"):
    """A mask in which each value has the same number of pixels, or the number that a mapping gives."""
    counts = mask if isinstance(mask, dict) else dict.fromkeys(sorted(mask), 1000)
    return zoo.MaskFacts(1, 1, tuple(counts), kind, {}, 1, tuple(counts.values()))


def values(*masks, table=None, ignore_index=255, kind="gray"):
    paths = [Path(f"{number}.png") for number in range(len(masks))]
    return find_values(paths, [facts_of(mask, kind) for mask in masks], table, ignore_index)


def table_of(*lines):
    return ClassTable(Path("classes.csv"), [ClassLine(*line) for line in lines])


@pytest.mark.parametrize(
    ("masks", "classes", "ignored", "note"),
    [
        ([[0, 1]], (0, 1), (), ""),
        ([[0, 2], [0, 1]], (0, 1, 2), (), ""),
        ([[0, 1, 3]], (0, 1, 2, 3), (), ""),
        ([[0, 255]], (0, 255), (), "0 is class 0, background, and 255 is class 1, foreground"),
        ([[0], [255], [0, 255]], (0, 255), (), "foreground"),
        ([[0, 1, 255]], (0, 1), (255,), "pixels with the value 255 are ignored"),
        ([[0, 1, 3, 255]], (0, 1, 2, 3), (255,), "are ignored"),
        ([[1, 2, 3]], (1, 2, 3), (), "the values 1, 2, 3 of the masks are the classes 0 to 2"),
        ([[1, 2, 255]], (1, 2), (255,), "the values 1, 2 of the masks"),
        ([[0, 128, 255]], (0, 128, 255), (), "the values 0, 128, 255"),
        ([[0, 127, 254]], (0, 127, 254), (), "the values 0, 127, 254"),
        ([[0, 85, 170, 255]], (0, 85, 170, 255), (), "the classes 0 to 3"),
        ([[0, 1000, 2000]], (0, 1000, 2000), (), "the classes 0 to 2"),
        ([[10, 200]], (10, 200), (), "the classes 0 to 1"),
        ([range(60)], tuple(range(60)), (), ""),
    ],
)
def test_values_that_mean_one_thing(masks, classes, ignored, note):
    found = values(*masks)
    assert (found.values, found.ignored) == (classes, ignored)
    assert note in "; ".join(found.notes)
    assert bool(found.notes) == bool(note)


def test_another_value_may_be_ignored():
    assert (values([0, 1, 2, 11], ignore_index=11).values, values([0, 5, 11], ignore_index=11).values) == (
        (0, 1, 2),
        (0, 5),
    )
    assert values([0, 1, 2], ignore_index=0).values == (1, 2)


def test_black_and_white_have_names():
    assert values([0, 255]).names == ("background", "foreground")


@pytest.mark.parametrize(
    ("masks", "message", "hint"),
    [
        ([[0, 7, 255]], "255 may be a class or ignored", "dataset.class_values=[0,7]` if 255 is ignored, or"),
        ([[1, 255]], "255 may be a class or ignored", "dataset.class_values=[1,255]` if all"),
        ([[0, 1, 2], [0, 1, 77]], "77 may be a class, ignored or a mistake, as in 1.png", "dataset.ignore_index=77"),
        ([{0: 9000, 128: 3, 255: 5000}], "edges that were smoothed", "dataset.class_values=[0,128,255]"),
        (
            [{0: 900, 40: 3, 100: 9, 201: 4, 255: 500}],
            "edges that were smoothed",
            "resized by nearest neighbors only",
        ),
        ([{0: 9000, 30: 3, 64: 9, 99: 4, 128: 700}], "those between 0 and 128 have few pixels", "thresholded, and"),
        ([[0], [0]], "all masks contain the value 0 only, as 0.png", "dataset.num_classes=N"),
        ([[255]], "all masks contain the value 255 only", "dataset.num_classes=N"),
        ([range(300)], "contains 300 values, too many", "dataset.instances=semantic"),
    ],
)
def test_values_that_may_mean_one_thing_or_another(masks, message, hint):
    with pytest.raises(zoo.BadFile, match=re.escape(message)) as error:
        values(*masks)
    assert hint in error.value.hint
    assert ".png" in error.value.message


def test_0_and_255_of_a_palette_may_be_void():
    with pytest.raises(zoo.BadFile, match="0 and 255 of a palette") as error:
        values([0, 255], kind="palette")
    assert "dataset.class_values=[0,255]" in error.value.hint


def test_smoothed_edges_are_refused():
    smoothed = {0: 50_000, 255: 20_000} | dict.fromkeys(range(8, 250, 8), 40)
    with pytest.raises(zoo.BadFile, match=r"0\.png contains 33 values, too many for classes: edges that"):
        values(dict(sorted(smoothed.items())))


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([range(12), range(20), range(5), range(31)], True),
        ([range(300), range(200)], True),
        ([[0, *range(1000, 1200)], [0, *range(5000, 5100)]], True),
        ([range(11)] * 4, False),
        ([[0, 1], [0, 1, 2], [0, 1, 2, 3]], False),
        ([[0, 3, 7, 11], [1, 2, 5], [0, 1, 9, 10], [4, 6, 8]], False),
        ([range(21), range(21), [0, 15, 20]], False),
    ],
)
def test_masks_that_number_objects(masks, expected):
    assert looks_like_instances([facts_of(mask) for mask in masks]) == expected


def test_masks_that_number_objects_are_refused_with_the_setting_that_reads_them():
    with pytest.raises(zoo.BadFile, match=r"seem to number objects: 1\.png contains 20, up to 19") as error:
        values(range(12), range(20), range(5))
    assert "dataset.instances=semantic" in error.value.hint


@pytest.mark.parametrize(
    ("lines", "masks", "classes", "ignored"),
    [
        ([("bg",), ("car",)], [[0, 1]], (0, 1), (255,)),
        ([("bg",), ("car",), ("sky",)], [[0, 1, 255]], (0, 1, 2), (255,)),
        ([("bg",), ("car",), ("void",)], [[0, 1, 2]], (0, 1), (2, 255)),
        ([("void",), ("bg",), ("car",)], [[0, 1, 2]], (1, 2), (0, 255)),
        ([("bg",), ("cell",)], [[0, 255]], (0, 255), ()),
        ([("a",), ("b",), ("c",)], [[0, 100, 200]], (0, 100, 200), (255,)),
        ([("a", 7), ("b", 3)], [[3, 7, 255]], (7, 3), (255,)),
    ],
)
def test_a_table_names_the_values(lines, masks, classes, ignored):
    found = values(*masks, table=table_of(*((*line, None, None)[:3] for line in lines)))
    assert (found.values, found.ignored) == (classes, ignored)
    assert found.names == tuple(line[0] for line in lines if line[0] != "void")


def test_a_value_that_the_table_does_not_name_is_refused():
    with pytest.raises(zoo.BadFile, match=r"1\.png contains 2, but classes\.csv names 2 classes, with the values 0, 1"):
        values([0, 1], [0, 2], table=table_of(("a", None, None), ("b", None, None)))


def test_a_table_of_one_class_is_refused():
    with pytest.raises(zoo.BadFile, match="names 1 classes, but there should be 2 to 255"):
        values([0, 1], table=table_of(("a", None, None), ("void", None, None)))
