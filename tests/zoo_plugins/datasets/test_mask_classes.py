"""Which value in a mask file is which class, and which masks are refused before the first step."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.mask_classes import MaskClasses


def check(tmp_path, masks, num_classes, values=(), ignore_index=255):
    """The notes on masks, each a list of the values that occur in it."""
    paths = [tmp_path / f"{number}.png" for number in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        Image.fromarray(np.array([mask], np.uint8)).save(path)
    classes = MaskClasses(num_classes, values, ignore_index)
    notes = classes.check(paths, zoo.check_masks(paths))
    return notes, [classes.read(path)[0].tolist() for path in paths]


def test_values_are_class_indices_and_the_ignored_value_becomes_255(tmp_path):
    assert check(tmp_path, [[0, 1, 255], [2, 0]], 3) == ([], [[0, 1, 255], [2, 0]])
    assert check(tmp_path, [[0, 1, 11]], 2, ignore_index=11) == ([], [[0, 1, 255]])
    assert check(tmp_path, [[0, 1, 2]], 3, ignore_index=0)[1] == [[255, 1, 2]]


def test_values_may_be_given_for_each_class(tmp_path):
    assert check(tmp_path, [[0, 255], [255, 0]], 2, (0, 255)) == ([], [[0, 1], [1, 0]])
    assert check(tmp_path, [[0, 127, 254, 255]], 3, (0, 127, 254)) == ([], [[0, 1, 2, 255]])
    assert check(tmp_path, [[7, 3]], 2, (7, 3)) == ([], [[0, 1]])


@pytest.mark.parametrize(
    ("masks", "num_classes", "message", "hint"),
    [
        ([[0, 255]] * 4, 2, "only class 0 and ignored pixels", "dataset.class_values=[0,255]"),
        ([[0, 255], [0], [255]], 3, "only class 0 and ignored", "dataset.num_classes=2 dataset.class_values=[0,255]"),
        ([[255, 255]] * 3, 2, "contain only ignored pixels", "dataset.ignore_index"),
        ([[0, 128, 255]] * 3, 3, "0.png contains 128, but class indices", "dataset.class_values=[0,128,255]"),
        ([[0, 128, 255]] * 3, 2, "0.png contains 128, but class indices", "dataset.class_values=[0,128]"),
        ([[0, 85, 170, 255]] * 3, 4, "0.png contains 85, 170", "dataset.class_values=[0,85,170,255]"),
        ([[1, 2, 3]] * 3, 3, "0.png contains 3", "dataset.class_values=[1,2,3]"),
        ([[0, 1, 2, 3]] * 3, 3, "0.png contains 3", "write `dataset.num_classes=4`"),
        ([[0, 1]] * 4 + [[0, 77]], 2, "4.png contains 77", "or fix the mask"),
        ([list(range(100))] * 3, 3, "contains 3, 4, 5, 6, 7, …,", "dataset.num_classes=…"),
    ],
)
def test_masks_whose_values_are_no_classes_are_refused_with_what_to_write(tmp_path, masks, num_classes, message, hint):
    with pytest.raises(zoo.BadFile, match=re.escape(message)) as error:
        check(tmp_path, masks, num_classes)
    assert hint in error.value.hint
    if written := re.search(r"class_values=\[([\d,]+)\]", error.value.hint):  # the hint works
        values = tuple(map(int, written[1].split(",")))
        assert check(tmp_path, masks, len(values), values)[0] == []


@pytest.mark.parametrize(
    ("masks", "num_classes"),
    [
        ([[0, 1], [0, 1], [0, 255], [0, 255]], 2),
        ([[0, 1], [0, 1], [0, 1], [0, 255]], 2),
        ([[0, 255], [255], [0, 1], [0]], 2),
        ([[0, 1, 2], [0, 2], [0, 255], [1, 255]], 3),
    ],
)
def test_masks_of_two_codings_are_refused_with_a_file_of_each(tmp_path, masks, num_classes):
    with pytest.raises(zoo.BadFile, match=r"two codings: .*\.png contains 0.* and .*\.png contains 0 and 255") as error:
        check(tmp_path, masks, num_classes)
    named = [int(number) for number in re.findall(r"(\d)\.png", error.value.message)]
    assert [255 in masks[number] for number in named] == [False, True]


def test_masks_with_borders_that_are_ignored_are_not_two_codings(tmp_path):
    assert check(tmp_path, [[0, 1, 255], [0, 1], [0, 255], [0, 255]], 2)[0] == [
        "2 of 4 masks contain ignored pixels and at most one class (2.png, …)"
    ]


def test_masks_of_one_class_only_are_said_to_be_so(tmp_path):
    assert check(tmp_path, [[1, 1], [1]], 2)[0] == ["all masks contain class 1 only"]
    assert check(tmp_path, [[0], [0]], 2, (0, 255))[0] == ["all masks contain class 0 only"]
    assert check(tmp_path, [[0], [1]], 2)[0] == []


def test_no_number_of_classes_is_suggested_for_stray_values(tmp_path):
    with pytest.raises(zoo.BadFile, match="contains 9, but class indices are 0 to 1") as error:
        check(tmp_path, [[0, 1, 9], [0, 1, 7], [0, 1, 6], [0, 1, 5], [0, 1, 4], [0, 1]], 2)
    assert error.value.hint == "Write `dataset.num_classes=…` or `dataset.ignore_index=…`, or fix the mask."


def test_what_is_ignored_is_counted(tmp_path):
    assert check(tmp_path, [[0, 1], [255], [1], [255, 255]], 2)[0] == [
        "2 of 4 masks contain ignored pixels and at most one class (1.png, …)"
    ]
    assert check(tmp_path, [*[[0, 1]] * 10, [0, 255]], 2)[0] == [
        "1 of 11 masks contain ignored pixels and at most one class (10.png, …)"
    ]
    assert check(tmp_path, [[0, 1, 255]] * 3, 4)[0] == ["no mask contains class 2, 3, and the value 255 is ignored"]
    assert check(tmp_path, [[0, 1]] * 3, 4)[0] == []


@pytest.mark.parametrize("values", [(0,), (0, 1, 2), (0, 0), (0, 70000), (-1, 0)])
def test_values_that_are_not_one_for_each_class_are_an_error(values):
    with pytest.raises(zoo.BadSetting, match="should be 2 different values from 0 to 65535"):
        MaskClasses(2, values, 255)


def test_a_mask_that_changed_since_the_check_is_refused_when_it_is_read(tmp_path):
    Image.fromarray(np.array([[0, 9]], np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(zoo.BadFile, match=r"a\.png contains 9, but class indices are 0 to 1, and 255 is ignored"):
        MaskClasses(2, (), 255).read(tmp_path / "a.png")
