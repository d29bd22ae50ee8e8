"""The folders of a data set are described by the names on the way to them."""

from __future__ import annotations

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_folders import unpacked, walk, walk_role


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_roles_splits_and_other_names(tmp_path):
    touch(tmp_path, "images/train/a.png", "train/masks/a.tif", "s1/images/b.png", "images/s1/b.png", "trainannot/a.png")
    found = {one.name: (one.split, one.role, one.rest, one.is_below) for one in walk(tmp_path)}
    assert found == {
        "images/train": ("train", "image", (), False),
        "train/masks": ("train", "mask", (), False),
        "s1/images": (None, "image", ("s1",), False),
        "images/s1": (None, "image", ("s1",), True),
        "trainannot": ("train", "mask", (), False),
    }


def test_folders_without_usable_files_are_not_listed(tmp_path):
    touch(tmp_path, "labels/a.txt", "images/a.jp2", "__MACOSX/images/._a.png", ".cache/b.png", "masks/a.npy")
    assert [one.name for one in walk(tmp_path)] == ["masks"]


def test_the_folders_of_an_archive_are_entered(tmp_path):
    touch(tmp_path, "VOCdevkit/VOC2012/JPEGImages/a.jpg", "VOCdevkit/VOC2012/SegmentationClass/a.png")
    assert unpacked(tmp_path) == tmp_path / "VOCdevkit" / "VOC2012"


def test_a_folder_whose_name_says_something_is_not_entered(tmp_path):
    touch(tmp_path, "train/images/a.png")
    assert unpacked(tmp_path) == tmp_path


def test_a_role_may_be_given(tmp_path):
    touch(tmp_path, "my photos/a.png", "my photos/val/b.png")
    found = [(one.name, one.split, one.role) for one in walk_role(tmp_path, "my photos", "image")]
    assert found == [("my photos", None, "image"), ("my photos/val", "validation", "image")]


def test_a_folder_that_links_lead_back_to_is_listed_once(tmp_path):
    touch(tmp_path, "images/a.png")
    (tmp_path / "images" / "again").symlink_to(tmp_path)
    (tmp_path / "more").symlink_to(tmp_path / "images")
    assert [one.name for one in walk(tmp_path)] == ["images"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(zoo.ZooError, match="nowhere can't be read: No such file"):
        walk(tmp_path / "nowhere")
