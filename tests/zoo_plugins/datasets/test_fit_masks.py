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
            {"color": "gray", "crop_height": 256, "augmentation": "microscopy"},
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
@pytest.mark.filterwarnings("ignore:mask-folder")
def test_the_plan_follows_from_the_files(tmp_path, shape, values, budget, expected):
    folder, task = make(tmp_path / "data", shape, values), SegmentImages()
    finding = task.find(folder)
    settings = task.plan(folder, finding, budget).values["dataset"]
    assert {key: settings[key] for key in expected} == expected
    dataset = zoo.build("mask-folder", {key: value for key, value in settings.items() if key != "name"}, kind="dataset")
    assert dataset.provides()["num_classes"] == len(values)
    assert dataset.train()[0]["image"].shape[-2:] == (settings["crop_height"], settings["crop_width"])
    assert dataset.test()[0]["image"].shape[-2:] == shape[:2]  # no crop


def test_the_finding_says_what_is_in_the_files(tmp_path):
    folder = make(tmp_path / "data", (40, 50), [0, 255], count=10)
    (folder / "images" / "notes.txt").write_text("mine")
    finding = SegmentImages().find(folder)
    assert finding.summary == "10 images with masks"
    text = "\n".join(finding.details)
    assert "40 x 50 pixels, gray" in text
    assert "8 for training, 1 for validation, 1 for the test" in text
    assert "classes of the training pixels: background " in text
    assert any("txt" in line for line in finding.left_out)


def test_images_of_several_sizes_are_resized_to_the_median(tmp_path):
    folder = make(tmp_path / "data", (100, 130), [0, 1])
    for number, size in enumerate([(64, 130), (300, 130)]):
        for name, value in (("images", 200), ("masks", number)):
            Image.new("L", size[::-1], value).save(folder / name / f"other{number}.png")
    task = SegmentImages()
    settings = task.plan(folder, task.find(folder), CPU).values["dataset"]
    assert (settings["height"], settings["width"]) == (96, 128)
    assert (settings["crop_height"], settings["crop_width"]) == (96, 128)


def test_a_folder_without_images_and_masks_is_not_recognized_and_one_without_masks_is_refused(tmp_path):
    assert SegmentImages().find(tmp_path) is None
    (tmp_path / "images").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "images" / "1.png")
    with pytest.raises(zoo.ZooError, match="masks is missing"):
        SegmentImages().find(tmp_path)


def save_deep(folder, count=4):
    """Images of 12 bits in TIFF files, with masks."""
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        image = random.integers(0, 4000, (40, 50)).astype(np.uint16)
        Image.fromarray(image).save(folder / "images" / f"{number}.tif")
        Image.fromarray((image > 900) * np.uint8(255)).save(folder / "masks" / f"{number}.tif")
    return folder


def test_the_plan_states_which_value_is_white(tmp_path):
    folder, task = save_deep(tmp_path / "data"), SegmentImages()
    finding = task.find(folder)
    assert "40 x 50 pixels, gray, 16 bits, values 0 to 3999, of which 4095 is taken for white" in finding.details
    plan = task.plan(folder, finding, CPU)
    assert plan.values["dataset"]["max_value"] == 4095
    assert plan.reasons["dataset.max_value"] == "the value of white; change it if it is another"


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_the_plan_has_the_channels_of_the_files(tmp_path):
    folder, task = make(tmp_path / "data", (40, 50), [0, 255]), SegmentImages()
    for path in (folder / "images").iterdir():
        path.unlink()
        np.save(path.with_suffix(".npy"), np.random.default_rng(0).integers(0, 256, (40, 50, 5), dtype=np.uint8))
    finding = task.find(folder)
    assert "40 x 50 pixels, 5 channels, 8 bits, values 0 to 255" in finding.details
    settings = task.plan(folder, finding, CPU).values["dataset"]
    assert settings["channels"] == 5
    dataset = zoo.build("mask-folder", {key: value for key, value in settings.items() if key != "name"}, kind="dataset")
    assert dataset.provides()["in_channels"] == 5
    assert dataset.train()[0]["image"].shape == (5, 32, 32)
