"""Masks that are drawn from COCO annotations, and what a data set makes of them."""

import json
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.coco import find_coco
from zoo_plugins.datasets.coco_masks import CocoMasks
from zoo_plugins.datasets.fit_masks import SegmentImages
from zoo_plugins.datasets.mask_folder import MaskFolder

CATEGORIES = [{"id": 9, "name": "wheel"}, {"id": 4, "name": "car"}]
SQUARE = [0, 0, 8, 0, 8, 8, 0, 8]  # the upper left quarter of 16 x 16
INNER = [2, 2, 6, 2, 6, 6, 2, 6]


def annotation(category, segmentation, image=0, **more):
    return {"id": 1, "image_id": image, "category_id": category, "segmentation": segmentation, **more}


def run_lengths(mask):
    """The uncompressed run lengths of a mask (H, W)."""
    flat = np.asarray(mask).reshape(-1, order="F").astype(int)
    ends = [*np.flatnonzero(np.diff(flat)) + 1, len(flat)]
    counts = [int(end - start) for start, end in zip([0, *ends], ends, strict=False)]
    return {"size": list(np.shape(mask)), "counts": [0, *counts] if flat[0] else counts}


def make(folder, annotations, categories=CATEGORIES, count=1):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.new("L", (16, 16), 40 * number + 90).save(folder / f"{number}.png")
    images = [{"id": n, "file_name": f"{n}.png", "height": 16, "width": 16} for n in range(count)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return CocoMasks(find_coco(folder))


def drawn(masks, number=0):
    pairs = [pair for part in masks.by_split.values() for pair in part]
    return masks.coding.reader.read(pairs[number].masks[0]).numpy()


@pytest.fixture
def pycocotools():
    return pytest.importorskip("pycocotools")


@pytest.mark.parametrize("order", [1, -1])
def test_a_smaller_object_lies_on_a_larger_one(tmp_path, pycocotools, order):
    masks = make(tmp_path, [annotation(4, [SQUARE]), annotation(9, [INNER])][::order])
    assert masks.coding.names == ("background", "car", "wheel")
    expected = np.zeros((16, 16), int)
    expected[:8, :8], expected[2:6, 2:6] = 1, 2
    assert np.array_equal(drawn(masks), expected)


def test_a_crowd_lies_below_all_objects(tmp_path, pycocotools):
    crowd = np.zeros((16, 16), bool)
    crowd[4:6, 4:6] = True
    masks = make(tmp_path, [annotation(9, run_lengths(crowd), iscrowd=1), annotation(4, [SQUARE])])
    assert set(np.unique(drawn(masks))) == {0, 1}


def test_run_lengths_are_read_compressed_or_not(tmp_path, pycocotools):
    from pycocotools import mask as coco_mask

    pixels = np.random.default_rng(0).random((16, 16)) < 0.4
    compressed = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    for encoded in (run_lengths(pixels), {"size": [16, 16], "counts": compressed["counts"].decode()}):
        assert np.array_equal(drawn(make(tmp_path, [annotation(4, encoded)])) == 1, pixels)


def test_several_polygons_are_one_object(tmp_path, pycocotools):
    masks = make(tmp_path, [annotation(4, [INNER, [10, 10, 14, 10, 14, 14, 10, 14]])])
    assert drawn(masks).sum() == 32


def test_an_image_without_objects_is_background(tmp_path, pycocotools):
    masks = make(tmp_path, [annotation(4, [SQUARE])], count=3)
    assert not drawn(masks, 2).any()
    assert "2 images without objects are background only" in masks.coding.notes


def test_objects_that_cover_everything_leave_no_background(tmp_path, pycocotools):
    every = [[0, 0, 16, 0, 16, 16, 0, 16]]
    masks = make(tmp_path, [annotation(4, every), annotation(9, [INNER])])
    assert masks.coding.names == ("car", "wheel")
    assert "less than 1 % of the pixels are in no object, and are ignored" in masks.coding.notes
    void = [*CATEGORIES, {"id": 12, "name": "void"}]
    masks = make(tmp_path, [annotation(4, every), annotation(9, [INNER]), annotation(12, [SQUARE])], void)
    assert masks.coding.names == ("car", "wheel")
    assert set(np.unique(drawn(masks))) == {0, 1, 255}


def test_the_group_of_categories_that_roboflow_adds_is_left_out(tmp_path, pycocotools):
    categories = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 1, "name": "nucleus", "supercategory": "cells"},
    ]
    masks = make(tmp_path, [annotation(1, [SQUARE])], categories)
    assert masks.coding.names == ("background", "nucleus")


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "has a box, but no outline"),
        ([[1, 2, 3, 4]], "has a damaged outline"),
        ([[1, 2, 3, 4, 5]], "has a damaged outline"),
        ([[0, 0, 1e12, 0, 1, 1]], "has a damaged outline"),
        ([[0, 0, float("nan"), 0, 1, 1]], "has a damaged outline"),
        ([SQUARE, "x"], "has a damaged outline"),
        ({"size": [16, 16], "counts": [999999]}, "damaged run lengths"),
        ({"size": [16, 16], "counts": [-1, 257]}, "damaged run lengths"),
        ({"size": [9, 9], "counts": [81]}, "damaged run lengths"),
        ({"size": [16, 16], "counts": "zzzzzzzzzzz"}, "damaged run lengths"),
        ({"size": [16, 16]}, "damaged run lengths"),
        ({"size": 3, "counts": [256]}, "damaged run lengths"),
        ("x", "has a damaged outline"),
    ],
)
def test_a_damaged_object_is_refused_by_file_and_image(tmp_path, pycocotools, segmentation, message):
    with pytest.raises(zoo.BadFile, match=message) as error:
        _ = make(tmp_path, [annotation(4, [SQUARE]), annotation(9, segmentation)]).coding
    assert "annotations.json: the annotation 1 of 0.png" in error.value.message
    assert error.value.hint


def test_a_file_without_annotations_is_refused(tmp_path):
    with pytest.raises(zoo.BadFile, match=r"annotations\.json has no annotations"):
        make(tmp_path, [])


def test_a_data_set_has_the_classes_and_a_fingerprint_of_every_byte(tmp_path, pycocotools):
    annotations = [annotation(4, [SQUARE], n) for n in range(5)] + [annotation(9, [INNER], n) for n in range(5)]
    make(tmp_path, annotations, count=5)

    def data():
        return MaskFolder(MaskFolder.Config(folder=str(tmp_path), color="gray"))

    with pytest.warns(UserWarning, match="3 classes from annotations.json: background, car, wheel"):
        example = data().train()[0]
    assert (example["image"].shape, example["mask"].unique().tolist()) == ((1, 16, 16), [0, 1, 2])
    first = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert first.provides()["class_names"] == ("background", "car", "wheel")
        assert first.class_counts() == [3 * 192, 3 * 48, 3 * 16]
        before = first.fingerprint()
        make(tmp_path, [*annotations[:-1], annotation(9, [[2, 2, 7, 2, 7, 6, 2, 6]], 4)], count=5)
        assert data().fingerprint() != before
        found = SegmentImages().find(tmp_path)
    assert found.summary == "5 images with masks"
    assert "5 images with COCO annotations in annotations.json" in found.details[0]


def test_an_image_of_another_size_than_the_annotations_is_refused(tmp_path, pycocotools):
    make(tmp_path, [annotation(4, [SQUARE], n) for n in range(3)], count=3)
    Image.new("L", (8, 16)).save(tmp_path / "1.png")
    with pytest.raises(zoo.ZooError, match=r"1\.png is 16 x 8, but its mask .*annotations\.json#image=1 is 16 x 16"):
        MaskFolder(MaskFolder.Config(folder=str(tmp_path))).train()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(zoo.ZooError, match="need the package pycocotools") as error:
        _ = make(tmp_path, [annotation(4, [SQUARE])]).coding
    assert error.value.hint == "pip install 'zoo-core[coco]'"
