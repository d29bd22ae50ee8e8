"""The layouts that people have are recognized, or refused in two lines that name file and cure."""

from __future__ import annotations

import re
import unicodedata

import pytest

import zoo_core as zoo
from zoo_plugins.datasets.mask_layouts import find_layout

NAMES = ("a1", "a2", "a10")


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def pairs_in(root, images="images/{}.png", masks="masks/{}.png", names=NAMES):
    touch(root, *(form.format(name) for name in names for form in (images, masks)))


def found(root, **settings):
    """The pairs of each split, as names below the folder."""
    layout = find_layout(root, **settings)
    return {
        split: [[path.relative_to(layout.root).as_posix() for path in (pair.image, *pair.masks)] for pair in pairs]
        for split, pairs in layout.splits.items()
    }


def refused(root, **settings):
    with pytest.raises(zoo.ZooError) as error:
        find_layout(root, **settings)
    assert str(root) in error.value.message or "is set, but" in error.value.message
    assert error.value.hint
    return error.value


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{}.png", "masks/{}.png"),
        ("imgs/{}.jpg", "labels/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("IMAGES/{}.JPG", "Annotations/{}.PNG"),
        ("x/{}.png", "y/{}.npy"),
        ("raw/{}.bmp", "ground_truth/{}.gif"),
        ("input/{}.png", "targets/{}.tif"),
        ("images/{}.png", "masks/{}_mask.png"),
        ("{}.png", "{}_mask.png"),
        ("{}.jpg", "{}.png"),
        ("{}.jpg", "masks/{}.png"),
        ("data/set/images/{}.png", "data/set/masks/{}.png"),
    ],
)
def test_layouts_without_splits(tmp_path, images, masks):
    pairs_in(tmp_path, images, masks)
    expected = [[images.format(name), masks.format(name)] for name in NAMES]
    assert found(tmp_path) == {"": [[part.removeprefix("data/set/") for part in pair] for pair in expected]}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("{}/images/NAME.png", "{}/masks/NAME.png"),
        ("images/{}/NAME.png", "masks/{}/NAME.png"),
        ("{}/NAME.png", "{}annot/NAME.png"),
        ("{}/NAME.jpg", "{}_labels/NAME.png"),
        ("{}_images/NAME.jpg", "{}_masks/NAME.png"),
        ("{}/NAME.png", "{}/NAME_mask.png"),
        ("leftImg8bit/{}/aachen/NAME_leftImg8bit.png", "gtFine/{}/aachen/NAME_gtFine_labelIds.png"),
    ],
)
def test_splits_that_are_given(tmp_path, images, masks):
    for split in ("train", "val", "test"):
        pairs_in(*(tmp_path, *(form.format(split).replace("NAME", "{}") for form in (images, masks))))
    splits = found(tmp_path)
    assert list(splits) == ["train", "validation", "test"]
    for name, pairs in zip(("train", "val", "test"), splits.values(), strict=True):
        assert pairs == [[form.format(name).replace("NAME", one) for form in (images, masks)] for one in NAMES]


def test_masks_of_one_object_each_in_a_folder_for_each_sample(tmp_path):
    for sample in ("s2", "s10"):
        touch(tmp_path, f"stage1_train/{sample}/images/{sample}.png", f"stage1_train/{sample}/masks/x9.png")
        touch(tmp_path, f"stage1_train/{sample}/masks/x10.png", f"stage1_test/{sample}/images/t.png")
    layout = find_layout(tmp_path)
    assert found(tmp_path) == {
        "train": [
            [f"stage1_train/{one}/{rest}" for rest in (f"images/{one}.png", "masks/x9.png", "masks/x10.png")]
            for one in ("s2", "s10")
        ]
    }
    assert layout.left_out == [
        "left out of stage1_test/s2/images and 1 more: 2 files ending in .png, which have no masks"
    ]
    assert "several for an image" in layout.description


def test_an_image_and_a_mask_in_a_folder_for_each_sample(tmp_path):
    touch(tmp_path, "s1/image.png", "s1/mask.png", "s2/image.png", "s2/mask.png")
    assert found(tmp_path) == {"": [["s1/image.png", "s1/mask.png"], ["s2/image.png", "s2/mask.png"]]}


def test_sub_folders_of_both_are_paired(tmp_path):
    for scene in ("s1", "s2"):
        pairs_in(tmp_path, f"images/{scene}/{{}}.png", f"masks/{scene}/{{}}.png")
    assert len(find_layout(tmp_path).pairs) == 6


def test_accents_may_be_composed_or_decomposed(tmp_path):
    touch(tmp_path, *(f"images/{unicodedata.normalize('NFC', name)}.png" for name in ("é", "ü")))
    touch(tmp_path, *(f"masks/{unicodedata.normalize('NFD', name)}.png" for name in ("é", "ü")))
    assert len(find_layout(tmp_path).pairs) == 2


def test_folders_may_be_chosen_by_their_names(tmp_path):
    pairs_in(tmp_path, "photos of me/{}.png", "drawn/{}.png")
    assert "`dataset.images=photos dataset.masks=drawn`" in refused(tmp_path).hint
    assert len(found(tmp_path, images="photos of me", masks="drawn")[""]) == 3
    assert "dataset.masks is not" in refused(tmp_path, images="drawn").message


@pytest.mark.parametrize(
    ("others", "named"),
    [
        (["labels/{}.png"], ["`images` with `labels`", "`images` with `masks`"]),
        (["raw/{}.png"], ["`images` with `masks`", "`raw` with `masks`"]),
        (["train/images/{}.png", "train/masks/{}.png"], ["`images` with masks in `masks`", "`train/images`"]),
        (["more/{}.png", "more/{}_mask.png"], ["`images` with masks in `masks`", "`more`"]),
    ],
)
def test_two_layouts_are_refused_with_both_named(tmp_path, others, named):
    pairs_in(tmp_path)
    touch(tmp_path, *(form.format(name) for form in others for name in NAMES))
    message = refused(tmp_path).message
    assert message.startswith("two layouts fit")
    assert all(one in message for one in named)


def test_two_suffixes_in_one_folder_are_refused_with_both_named(tmp_path):
    pairs_in(tmp_path, "{}.png", "{}_mask.png")
    pairs_in(tmp_path, "{}.png", "{}_seg.png")
    message = refused(tmp_path).message
    assert "NAME_mask" in message
    assert "NAME_seg" in message


def test_labels_of_another_kind_are_no_masks(tmp_path):
    pairs_in(tmp_path)
    touch(tmp_path, "labels/a1.txt", "annotations/a1.xml", "SegmentationObject/a1.png")
    layout = find_layout(tmp_path)
    assert len(layout.pairs) == 3
    assert layout.left_out == ["left out of SegmentationObject: 1 file ending in .png"]


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ([], "contains 0 pairs", "Put images into `images`"),
        (["a.png", "b.png"], "0 pairs of image and mask that are recognized", "Put images into"),
        (["images/a.png"], "contains images in `images`, but", "Put images into"),
        (["masks/a.png"], "contains masks in `masks`, but", "Put images into"),
        (["images/a.avif", "masks/a.png"], "left out of images: 1 file ending in .avif", "Convert the files"),
        (["images/a.png", "images/b.png", "masks/a.png"], "b.png has no mask in", "same name"),
        (["images/a.png", "masks/b.png"], "a.png has no mask in", "same name"),
        (["images/a.png", "images/a.jpg", "masks/a.png"], "a.jpg and a.png, two files with the name 'a'", "Rename"),
        (["a.png", "a_mask.png", "b.png"], "b.png has no mask in", "named NAME and NAME_mask"),
        (["s1/images/a.png", "s1/masks/b.png", "s2/images/a.png"], "s2/images/a.png has no mask", "Give each image"),
        (["val/images/a.png", "val/masks/a.png"], "pairs for validation, but none for training", "`train`"),
    ],
)
def test_folders_that_are_refused(tmp_path, files, message, hint):
    touch(tmp_path, *files)
    error = refused(tmp_path)
    assert re.search(re.escape(message), error.message)
    assert hint in error.hint


def test_the_description_is_one_line(tmp_path):
    for split in ("train", "val"):
        pairs_in(tmp_path, f"{split}/{{}}.png", f"{split}annot/{{}}.png")
    assert find_layout(tmp_path).description == (
        "6 pairs: images in `train` with masks in `trainannot` and 1 more, of the same name; the split is given by the "
        "folders: 3 for train, 3 for validation"
    )
