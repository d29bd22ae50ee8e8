"""Names of folders say what is in them, in any case and with any separator; words mark the names of masks."""

from __future__ import annotations

import pytest

from zoo_plugins.datasets.mask_names import MASK_WORDS, Marker, Meaning, markers, meaning


@pytest.mark.parametrize("name", ["images", "IMGS", "JPEGImages", "Input", "raw", "x", "leftImg8bit"])
def test_usual_names_of_folders_of_images(name):
    assert meaning(name) == Meaning(role="image")


@pytest.mark.parametrize(
    "name", ["masks", "Labels", "annotations", "annot", "SegmentationClass", "ground_truth", "GT", "y"]
)
def test_usual_names_of_folders_of_masks(name):
    assert meaning(name) == Meaning(role="mask")


@pytest.mark.parametrize(
    ("name", "split", "role"),
    [
        ("train", "train", None),
        ("Training", "train", None),
        ("stage1_train", "train", None),
        ("valid", "validation", None),
        ("test", "test", None),
        ("trainannot", "train", "mask"),
        ("val_labels", "validation", "mask"),
        ("train-images", "train", "image"),
        ("masks_test", "test", "mask"),
        ("imagesTr", "train", "image"),
        ("labelsTs", "test", "mask"),
        ("X_train", "train", "image"),
    ],
)
def test_names_with_a_split(name, split, role):
    assert meaning(name) == Meaning(split, role)


@pytest.mark.parametrize("name", ["trainer", "photos of me", "tr", "SegmentationObject", "maskrcnn", "latest"])
def test_other_names_say_nothing(name):
    assert meaning(name) == Meaning()


@pytest.mark.parametrize(
    ("word", "at_end", "stem", "key"),
    [
        ("mask", True, "a_mask", "a"),
        ("mask", True, "a-Mask", "a"),
        ("mask", True, "7mask", "7"),
        ("mask", True, "mask", ""),
        ("mask", True, "unmask", None),
        ("mask", False, "mask_a", "a"),
        ("mask", False, "mask7", "7"),
        ("mask", False, "masked", None),
        ("l", True, "0001_L", "0001"),
        ("l", True, "bowl", None),
    ],
)
def test_a_marker_is_a_word_at_an_end_of_a_name(word, at_end, stem, key):
    assert Marker(word, at_end).key(stem) == key


def test_several_masks_may_be_numbered():
    assert Marker("mask", True).numbered_key("a (1)_mask_2") == "a (1)"
    assert Marker("mask", True).numbered_key("a_2") is None


def test_longer_words_come_first():
    words = [marker.word for marker in markers(MASK_WORDS)]
    assert words.index("gtfine_labelids") < words.index("labels") < words.index("label")
