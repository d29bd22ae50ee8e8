"""Lists say which images belong to which split."""

from __future__ import annotations

import re

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_layouts import find_layout


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        for name in (f"images/{number}.jpg", f"masks/{number}.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
    return tmp_path


def splits(folder):
    layout = find_layout(folder)
    return {name: [pair.image.stem for pair in pairs] for name, pairs in layout.splits.items()}


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "{}.jpg",
        "images/{}.jpg",
        "images/{}.jpg masks/{}.png",
        "images/{}.jpg,masks/{}.png",
        "/home/me/data/images/{}.jpg\t/home/me/data/masks/{}.png",
        "images\\{}.jpg;masks\\{}.png",
        "./images/{}.jpg",
    ],
)
@pytest.mark.parametrize("place", [".", "ImageSets/Segmentation", "splits"])
def test_lines_name_an_image_or_an_image_and_its_mask(folder, line, place):
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name, numbers in (("train", (2, 0)), ("val", (3,))):
        text = "".join(line.replace("{}", str(number)) + "\r\n" for number in numbers)
        (folder / place / f"{name}.txt").write_text(f"# a comment\n\n{text}")
    assert splits(folder) == {"train": ["2", "0"], "validation": ["3"]}


def test_a_csv_may_have_a_header(folder):
    (folder / "train.csv").write_text("image,mask\nimages/1.jpg,masks/1.png\n")
    assert splits(folder) == {"train": ["1"]}


def test_pairs_are_found_by_a_list_in_folders_of_any_name(folder):
    (folder / "images").rename(folder / "abc")
    (folder / "masks").rename(folder / "def")
    (folder / "train.txt").write_text("abc/0.jpg def/1.png\n")
    (pair,) = find_layout(folder).pairs
    assert (pair.image.name, pair.masks[0].name) == ("0.jpg", "1.png")


def test_images_that_no_list_names_are_left_out_and_need_no_mask(folder):
    (folder / "masks" / "3.png").unlink()
    (folder / "train.txt").write_text("0\n1\n")
    layout = find_layout(folder)
    assert len(layout.pairs) == 2
    assert layout.left_out == ["left out of images: 2 files ending in .jpg", "left out of masks: 1 file ending in .png"]
    assert "the split is given by the lists train.txt: 2 for train" in layout.description


def test_a_test_list_of_images_without_masks_is_left_out(folder):
    (folder / "masks" / "3.png").unlink()
    (folder / "train.txt").write_text("0\n1\n2\n")
    (folder / "test.txt").write_text("3\n")
    assert splits(folder) == {"train": ["0", "1", "2"]}


def test_other_text_files_are_no_lists(folder):
    (folder / "README.txt").write_text("read me\n")
    (folder / "val.txt").write_text("a list for validation alone is none\n")
    assert list(find_layout(folder).splits) == [""]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"train.txt": "0\n9\n8\n"},
            "train.txt, line 2, names no image with a mask: '9', and 1 more lines do not either",
        ),
        ({"train.txt": "0\n1\n", "val.txt": "1\n"}, "val.txt both name"),
        ({"train.txt": "0\n", "train.lst": "0\n"}, "two lists for train"),
        ({"train.txt": "other/0.jpg\n"}, "line 1, names no image"),
        ({"train.txt": b"\xff\xfe\x00"}, "can't be read as a list of images"),
    ],
)
def test_lists_that_do_not_fit_are_refused(folder, files, message):
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(zoo.ZooError, match=re.escape(message)):
        find_layout(folder)


def test_a_list_against_the_folders_is_refused_with_both_named(folder):
    (folder / "images").rename(folder / "train")
    (folder / "masks").rename(folder / "trainannot")
    (folder / "train.txt").write_text("0\n")
    (folder / "val.txt").write_text("1\n")
    with pytest.raises(zoo.ZooError, match=r"1\.jpg is in a folder for train, but .*val\.txt lists it for validation"):
        find_layout(folder)
