"""Folders of mask files for each class are recognized, and others are not."""

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.class_layouts import find_class_files
from zoo_plugins.datasets.mask_folders import walk


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def find(folder):
    return find_class_files(walk(folder))


IMAGES = ["images/a.png", "images/b.png"]


@pytest.mark.parametrize(
    "masks",
    [
        ["masks/a/cell.png", "masks/a/edge.png", "masks/b/cell.png", "masks/b/edge.png"],
        ["masks/cell/a.png", "masks/edge/a.png", "masks/cell/b.png", "masks/edge/b.png"],
        ["masks/cell/a.png", "masks/edge/b.png"],
    ],
)
def test_classes_are_named_by_files_or_folders(tmp_path, masks):
    touch(tmp_path, *IMAGES, *masks)
    found = find(tmp_path)
    assert [pair.image.name for pair in found.by_split[""]] == ["a.png", "b.png"]
    assert set(found.class_of.values()) == {"cell", "edge"}


def test_splits_are_those_of_the_folders(tmp_path):
    for split in ("train", "val"):
        touch(tmp_path, f"{split}/images/a.png", f"{split}/masks/a/cell.png", f"{split}/masks/a/edge.png")
    assert list(find(tmp_path).by_split) == ["train", "validation"]


@pytest.mark.parametrize(
    "files",
    [
        [*IMAGES, "masks/a.png", "masks/b.png"],
        [*IMAGES, "masks/a.png", "masks/b.png", "masks/cell/a.png", "masks/edge/a.png"],
        [*IMAGES, "masks/a/1.png", "masks/a/2.png", "masks/b/1.png"],
        ["a/images/1.png", "a/masks/1.png", "a/masks/2.png"],
        [*IMAGES, "masks/only/a.png", "masks/only/b.png"],
        ["a.png", "a_mask.png"],
    ],
)
def test_other_layouts_are_not_taken_for_it(tmp_path, files):
    touch(tmp_path, *files)
    assert find(tmp_path) is None


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (["masks/a/cell.png", "masks/a/edge.png"], r"b\.png has no mask: .*b is missing or empty"),
        (["masks/cell/a.png", "masks/edge/a.png"], r"b\.png has no mask in .*cell and 1 more"),
        (["masks/a/cell.png", "masks/b/cell.png", "masks/c/cell.png"], r"cell\.png has no image"),
        (["masks/cell/a.png", "masks/edge/b.png", "masks/edge/c.png"], r"c\.png has no image"),
    ],
)
def test_a_missing_partner_is_named(tmp_path, masks, message):
    touch(tmp_path, *IMAGES, *masks)
    with pytest.raises(zoo.ZooError, match=message):
        find(tmp_path)
