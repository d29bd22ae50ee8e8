"""Which combinations of classes are classes; `test_class_files` and `test_mask_planes` try whole folders."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.mask_combinations import find_combinations
from zoo_plugins.datasets.mask_pairs import Pair


def found(folder, masks, classes=None):
    """The combinations of masks (K, H, W) of one image, or of ``classes`` names."""
    paths = []
    for number, mask in enumerate(masks, start=1):
        paths.append(folder / f"{number}.png")
        Image.fromarray(mask.astype(np.uint8)).save(paths[-1])
    numbers = {path: number for number, path in enumerate(paths, start=1)}
    names = ["background", *"abc"[: len(paths)]] if classes is None else ["background", *map(str, range(classes))]
    with ThreadPoolExecutor(1) as pool:
        return find_combinations([Pair(folder / "image.png", tuple(paths))], numbers, names, pool)


def squares(*sides):
    return [(np.mgrid[:20, :20] < side).all(axis=0) for side in sides]


def test_nested_classes_have_no_class_alone_but_the_outer_one(tmp_path):
    combinations = found(tmp_path, squares(16, 10, 5))
    assert combinations.names == ("background", "a", "a+b", "a+b+c")
    assert combinations.pixels == [{0: 144, 1: 156, 2: 75, 3: 25}]
    assert combinations.overlap[2] == 100


def test_a_class_without_pixels_stays_a_class(tmp_path):
    assert found(tmp_path, squares(10, 5, 0)).names == ("background", "a", "c", "a+b")


def test_too_many_classes_are_refused(tmp_path):
    with pytest.raises(zoo.BadFile, match=r"1\.png is the mask of one of 63 classes, but at most 62"):
        found(tmp_path, squares(10), classes=63)
