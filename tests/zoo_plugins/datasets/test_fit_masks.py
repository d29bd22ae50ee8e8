"""What ``zoo fit`` plans for images and masks."""

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.fit_masks import SegmentImages

CPU, GPU = (zoo.Budget(minutes=5, memory=2**33, device=device) for device in ("cpu", "cuda"))


def make(folder, shape, values, count=4):
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        image = random.integers(0, 256, shape).astype(np.uint8)
        mask = random.choice(values, shape[:2]).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("shape", "values", "budget", "expected"),
    [
        (
            (300, 300),
            [0, 255],
            CPU,
            {"class_values": [0, 255], "color": "gray", "crop_height": 256, "augmentation": "microscopy"},
        ),
        (
            (300, 100, 3),
            [0, 1, 2],
            CPU,
            {"color": "rgb", "crop_height": 256, "crop_width": 96, "augmentation": "photo"},
        ),
        ((600, 700, 3), [0, 1], GPU, {"crop_height": 512, "crop_width": 512}),
        ((20, 40), [0, 1], CPU, {"crop_height": 32, "crop_width": 32}),
    ],
)
def test_the_plan_follows_from_the_files(tmp_path, shape, values, budget, expected):
    folder, task = make(tmp_path / "data", shape, values), SegmentImages()
    finding = task.find(folder)
    settings = task.plan(folder, finding, budget).values["dataset"]
    assert settings["num_classes"] == len(values)
    assert {key: settings[key] for key in expected} == expected
    assert ("class_values" in settings) == ("class_values" in expected)
    dataset = zoo.build("mask-folder", {key: value for key, value in settings.items() if key != "name"}, kind="dataset")
    example = dataset.train()[0]
    assert example["image"].shape[-2:] == (settings["crop_height"], settings["crop_width"])
    assert dataset.test()[0]["image"].shape[-2:] == shape[:2]  # no crop


def test_a_folder_of_another_form_is_not_recognized(tmp_path):
    assert SegmentImages().find(tmp_path) is None
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert SegmentImages().find(tmp_path) is None
