"""What ``zoo fit`` plans for class folders, and how it tells them from clips."""

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.fit_classes import ClassifyImages
from zoo_plugins.datasets.sequences import are_sequences

CPU, GPU = (zoo.Budget(minutes=5, memory=2**33, device=device) for device in ("cpu", "cuda"))


def make(folder, counts, sizes=((30, 30),), mode="L"):
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            height, width = sizes[number % len(sizes)]
            pixels = random.integers(0, 256, (height, width, 3) if mode == "RGB" else (height, width))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def settings_of(folder, budget=CPU):
    task = ClassifyImages()
    plan = task.plan(folder, task.find(folder), budget)
    dataset = {key: value for key, value in plan.values["dataset"].items() if key != "name"}
    zoo.build("image-folder", dataset, kind="dataset").train()  # all images have one size then
    return plan.values


def test_small_images_of_one_size_are_taken_as_they_are(tmp_path):
    values = settings_of(make(tmp_path / "data", {"cat": 20, "dog": 20}))
    assert values["dataset"] == {"name": "image-folder", "folder": str(tmp_path / "data")}
    assert values["trainer"] == {"name": "classifier"}
    assert values["run"]["batch_size"] == 8


def test_large_images_are_resized_flipped_and_cropped(tmp_path):
    folder = make(tmp_path / "data", {"cat": 8, "dog": 8}, ((200, 300),), "RGB")
    on_cpu, on_gpu = settings_of(folder), settings_of(folder, GPU)
    assert (on_cpu["dataset"]["height"], on_cpu["dataset"]["width"]) == (64, 96)
    assert (on_gpu["dataset"]["height"], on_gpu["dataset"]["width"]) == (152, 224)
    assert (on_cpu["trainer"]["horizontal_flip"], on_cpu["trainer"]["crop"]) == (0.5, 0.7)


def test_images_of_several_sizes_get_the_median_size(tmp_path):
    values = settings_of(make(tmp_path / "data", {"cat": 9, "dog": 9}, ((30, 30), (40, 48), (90, 60))))
    assert (values["dataset"]["height"], values["dataset"]["width"]) == (40, 48)


def test_uneven_classes_are_weighted(tmp_path):
    assert settings_of(make(tmp_path / "data", {"cat": 40, "dog": 8}))["trainer"]["class_weights"] == "balanced"


def test_the_finding_names_the_classes(tmp_path):
    finding = ClassifyImages().find(make(tmp_path / "data", {"cat": 20, "dog": 10}))
    assert finding.summary == "30 images of 2 classes"
    assert "training images: cat 16, dog 8" in finding.details


def test_folders_of_another_form_are_not_recognized(tmp_path):
    assert ClassifyImages().find(tmp_path) is None
    assert ClassifyImages().find(make(tmp_path / "data", {"images": 4, "masks": 4})) is None


@pytest.mark.parametrize(("moves", "expected"), [(True, True), (False, False)])
def test_frames_that_follow_one_another_are_no_class(tmp_path, moves, expected):
    random = np.random.default_rng(0)
    places = np.arange(12) if moves else random.permutation(12)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number, place in enumerate(places):
            pixels = np.zeros((48, 48), np.uint8)
            pixels[10:30, 3 * place : 3 * place + 12] = 255
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    folders = [[tmp_path / name / f"{number}.png" for number in range(12)] for name in ("a", "b")]
    assert are_sequences(folders) is expected
    assert ClassifyImages().find(tmp_path).only_if_chosen is expected


def test_the_plan_states_channels_and_which_value_is_white(tmp_path):
    folder = make(tmp_path / "deep", {"cat": 8, "dog": 8})
    random = np.random.default_rng(0)
    for path in folder.rglob("*.png"):
        path.unlink()
        Image.fromarray(random.integers(0, 4000, (30, 30)).astype(np.uint16)).save(path.with_suffix(".tif"))
    finding = ClassifyImages().find(folder)
    assert "30 x 30 pixels, gray, 16 bits, values 0 to 3999, of which 4095 is taken for white" in finding.details
    assert settings_of(folder)["dataset"]["max_value"] == 4095
    for path in folder.rglob("*.tif"):
        path.unlink()
        np.save(path.with_suffix(".npy"), random.random((30, 30, 6), dtype=np.float32))
    assert settings_of(folder)["dataset"]["channels"] == 6


def test_settings_of_the_data_set_that_are_given_are_used_to_look_at_the_folder(tmp_path):
    folder, task = make(tmp_path / "deep", {"cat": 8, "dog": 8}), ClassifyImages()
    random = np.random.default_rng(0)
    for path in folder.rglob("*.png"):
        Image.fromarray(random.integers(0, 4000, (30, 30)).astype(np.uint16)).save(path)
    assert task.find(folder).facts.reading == {"max_value": 4095}
    task.given = {"dataset": {"max_value": 5000, "validation_fraction": 0.5}}
    finding = task.find(folder)
    assert finding.facts.reading == {}
    assert "of which 4095" not in "\n".join(finding.details)
    assert finding.facts.counts == [3, 3]
    task.given = {"dataset": {"max_value": 2000}}
    with pytest.raises(zoo.BadFile, match=r"dataset\.max_value is 2000"):
        task.find(folder)


@pytest.mark.parametrize("shape", [(30, 30), (30, 30, 5)])
def test_images_that_do_not_say_which_value_is_white_are_told_from_clips(tmp_path, shape):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(8):
            pixels = random.random(shape, dtype=np.float32)[..., :5] * 3
            np.save(tmp_path / name / f"{number}.npy", pixels)
            if len(shape) == 2:
                (tmp_path / name / f"{number}.npy").unlink()
                Image.fromarray(pixels).save(tmp_path / name / f"{number}.tif")
    assert ClassifyImages().find(tmp_path).facts.reading["max_value"] == 3  # and not 255, with which all were black
