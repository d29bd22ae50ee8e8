"""The pairs of image and mask in each folder."""

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_folders import walk
from zoo_plugins.datasets.mask_groups import find_groups


def find(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return find_groups(folder, walk(folder))


def test_pairs_are_found_in_two_folders_and_in_one(tmp_path):
    (group,), unlabeled = find(tmp_path / "two", "images/a.png", "masks/a.png")
    assert (group.where, group.is_side_by_side, unlabeled) == ("`images` with masks in `masks`", False, [])
    (group,), _ = find(tmp_path / "one", "a.png", "a_mask.png")
    assert (group.where, group.is_side_by_side) == ("the folder", True)


def test_splits_are_in_their_order(tmp_path):
    names = [f"{split}/{part}/a.png" for split in ("val", "train") for part in ("images", "masks")]
    groups, _ = find(tmp_path, *names)
    assert [group.key[0] for group in groups] == ["train", "validation"]


def test_images_without_masks_are_unlabeled(tmp_path):
    groups, unlabeled = find(tmp_path, "train/images/a.png", "train/masks/a.png", "test/images/b.png")
    assert (len(groups), [one.name for one in unlabeled]) == (1, ["test/images"])


def test_masks_without_images_are_refused(tmp_path):
    with pytest.raises(zoo.ZooError, match=r"contains masks in `masks`, but .*images is missing"):
        find(tmp_path, "masks/a.png")
