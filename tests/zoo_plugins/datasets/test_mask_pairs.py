"""Images and masks are paired by the first way to read their names that leaves none alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_pairs import Pair, files_in, pair_folders, pair_in_folder, refuse_twins


def paths(folder, names):
    return [Path(folder, name) for name in names]


def names(pairs):
    return [(pair.image.name, *(mask.name for mask in pair.masks)) for pair in pairs]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.png", "{}.png"),
        ("{}.JPG", "{}.PNG"),
        ("Image{}.png", "image{}.png"),
        ("{}.jpg", "{}.jpg.png"),
        ("{}.jpg", "{}_mask.png"),
        ("{}.jpg", "mask-{}.png"),
        ("image_{}.png", "label_{}.png"),
        ("{}_sat.jpg", "{}_mask.png"),
        ("image{}.png", "mask{}.png"),
        ("{}_0000.png", "{}.png"),
        ("{}_leftImg8bit.png", "{}_gtFine_labelIds.png"),
        ("{}.jpg", "{}_segmentation.tif"),
    ],
)
def test_names_in_two_folders(image, mask):
    numbers = (1, 2, 10)
    pairing = pair_folders(
        paths("images", [image.format(number) for number in numbers]),
        paths("masks", [mask.format(number) for number in numbers]),
    )
    assert pairing.is_complete
    assert names(pairing.pairs) == [(image.format(number), mask.format(number)) for number in numbers]


def test_names_of_both_kinds_at_once_leave_files_alone():
    pairing = pair_folders(paths("i", ["1.png", "2.png", "3.png"]), paths("m", ["1.png", "2.png", "3_mask.png"]))
    assert not pairing.is_complete
    assert len(pairing.pairs) == 2
    assert [path.name for path in (*pairing.images, *pairing.masks)] == ["3.png", "3_mask.png"]


def test_names_that_differ_in_a_number_are_not_pairs():
    assert not pair_folders(paths("i", ["a_t0.png", "b_t0.png"]), paths("m", ["a_t1.png", "b_t1.png"])).pairs


def test_several_masks_of_an_image_in_natural_order():
    masks = ["1_mask_1.png", "1_mask_2.png", "1_mask_10.png", "2_mask_1.png"]
    pairing = pair_folders(paths("i", ["1.png", "2.png"]), paths("m", masks))
    assert names(pairing.pairs) == [("1.png", *masks[:3]), ("2.png", masks[3])]
    assert "several for an image" in pairing.how


@pytest.mark.parametrize(
    "mask", ["{}_mask.png", "{}-mask.png", "{}_seg.png", "{} label.png", "mask_{}.png", "{}_L.png"]
)
def test_names_in_one_folder(mask):
    files = paths(".", [name.format(key) for key in ("a1", "a2") for name in ("{}.png", mask)])
    (pairing,) = pair_in_folder(files)
    assert pairing.is_complete
    assert names(pairing.pairs) == [(f"{key}.png", mask.format(key)) for key in ("a1", "a2")]


def test_in_one_folder_the_jpeg_is_the_image():
    (pairing,) = pair_in_folder(paths(".", ["a.jpg", "a.png", "b.JPG", "b.gif"]))
    assert names(pairing.pairs) == [("a.jpg", "a.png"), ("b.JPG", "b.gif")]


def test_two_words_in_one_folder_are_two_pairings():
    found = pair_in_folder(paths(".", ["a.png", "a_mask.png", "a_seg.png"]))
    assert sorted(pairing.how for pairing in found) == ["named NAME and NAME_mask", "named NAME and NAME_seg"]


def test_images_without_marked_masks_are_no_pairs():
    assert pair_in_folder(paths(".", ["a.png", "b.png", "unmask.png"])) == []


def test_two_files_of_one_name_are_refused():
    with pytest.raises(zoo.ZooError, match=re.escape("3.jpg and 3.png, two files with the name '3'")):
        refuse_twins(paths("images", ["2.png", "3.jpg", "3.png"]))


def test_files_are_listed_in_natural_order_without_hidden_ones(tmp_path):
    for name in ("f10.png", "f2.PNG", ".f1.png", "f3.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in files_in(tmp_path, (".png",))] == ["f2.PNG", "f10.png"]


def test_a_pair_is_a_key():
    assert len({Pair(Path("a"), (Path("b"),)), Pair(Path("a"), (Path("b"),))}) == 1
