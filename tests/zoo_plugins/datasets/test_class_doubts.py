"""Folders of images that are not those of classes, by their names."""

import numpy as np
import pytest
from PIL import Image

from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.fit.plan import recognize
from zoo_plugins.datasets.class_doubts import doubt
from zoo_plugins.datasets.class_folders import read_tree


def make(folder, *names, count=6, file="{}.png"):
    random = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 255, (24, 24), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / file.format(number))


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["Slide_01", "Slide_02", "GT_01", "GT_02"], "GT_01 has the name of masks"),
        (["01", "01_GT"], "01_GT has the name of masks"),
        (["cells", "cells_labels"], "cells_labels has the name of masks"),
        (["trainA", "trainB", "testA", "testB"], "testA and trainA have the names of splits"),
        (["train_cats", "val_cats", "train_dogs"], "train_cats and val_cats have the names of splits"),
        (["LR", "HR"], "HR and LR contain the same files"),
    ],
)
def test_other_meanings_are_refused_unless_the_task_is_named(tmp_path, names, problem):
    folder = tmp_path / "data"
    make(folder, *names)
    with pytest.raises(BadSetting, match=problem) as error:
        recognize(folder, Catalog())
    assert error.value.hint.startswith("Write `--task classify` if it is that")
    assert recognize(folder, Catalog(), "classify").entry.name == "classify"


@pytest.mark.parametrize(
    "names", [["with_mask", "without_mask"], ["cat", "dog"], ["train", "truck"], ["trainer", "tester"], ["a", "b"]]
)
def test_names_of_classes_are_not_doubted(tmp_path, names):
    make(tmp_path, *names, count=1)
    assert doubt(read_tree(tmp_path, ())) == ""


def test_pairs_have_the_same_files(tmp_path):
    make(tmp_path, "low")
    make(tmp_path, "high", count=5)
    assert doubt(read_tree(tmp_path, ())) == ""
