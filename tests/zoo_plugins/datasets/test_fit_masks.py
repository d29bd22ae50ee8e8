"""What ``zoo fit`` plans for images and masks."""

import numpy as np
import pytest
import torch
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
            {"color": "gray", "crop_height": 256, "augmentation": "upright"},
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
    assert finding.left_out == ("images: 1 file ending in .txt",)


def test_the_finding_says_which_classes_are_in_no_training_image(tmp_path):
    for split, values in (("train", [0, 1]), ("val", [0, 1, 2, 3])):
        make(tmp_path / "data" / split, (40, 50), values, count=10)
    assert "classes 2, 3 occur in no training image" in SegmentImages().find(tmp_path / "data").details


def of_sizes(folder, sizes, channels=1):
    """Images that are striped by the classes 0 and 1."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (height, width) in enumerate(sizes):
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[:, width // 2 :] = 1
        image = 100 * mask if channels == 1 else np.repeat(100 * mask[..., None], 3, axis=2)
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("sizes", "channels", "expected"),
    [
        ([(100, 130), (90, 130), (100, 150), (64, 120)], 1, {}),
        ([(100, 130), (100, 130), (130, 100), (400, 300)], 1, {"shorter_side": 100}),
        ([(1100, 1300)] * 4, 1, {}),
        ([(1100, 1300)] * 4, 3, {"shorter_side": 1024}),
    ],
)
@pytest.mark.filterwarnings("ignore:mask-folder")
def test_images_keep_their_aspect_and_are_resized_only_if_they_differ_widely_or_are_large(
    tmp_path, sizes, channels, expected
):
    folder, task = of_sizes(tmp_path / "data", sizes, channels), SegmentImages()
    planned = task.plan(folder, task.find(folder), CPU)
    settings = {key: value for key, value in planned.values["dataset"].items() if key != "name"}
    assert {key: settings[key] for key in ("height", "width", "shorter_side") if key in settings} == expected
    assert bool(planned.reasons["dataset.shorter_side"]) == bool(expected)
    dataset = zoo.build("mask-folder", settings, kind="dataset")
    assert dataset.train()[0]["image"].shape[-2:] == (settings["crop_height"], settings["crop_width"])
    assert dataset.provides().get("image_size", ()) == tuple(expected.values())


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_rare_classes_have_larger_weights_and_the_plan_says_what_may_be_unlabeled(tmp_path):
    folder, task = make(tmp_path / "data", (64, 64), [0] * 50 + [1] * 40 + [2] * 2 + [3] * 8), SegmentImages()
    finding = task.find(folder)
    assert (
        finding.details[-1] == "every value is a class; if 3 stands for unlabeled pixels, write dataset.ignore_index=3"
    )
    weights = task.plan(folder, finding, CPU).values["trainer"]["class_weights"]
    assert weights[0] < weights[1] <= 1 < weights[2]
    task.given = {"dataset": {"ignore_index": 3}}
    finding = task.find(folder)
    assert "if 3 stands for" not in "\n".join(finding.details)
    assert len(task.plan(folder, finding, CPU).values["trainer"]["class_weights"]) == 3
    (folder / "classes.txt").write_text("sky\nroad\npole\ncar\n")
    task.given = {}
    assert "stands for" not in "\n".join(task.find(folder).details)


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_masks_that_are_not_clear_are_planned_with_the_settings_that_the_message_asks_for(tmp_path):
    folder, task = make(tmp_path / "data", (40, 50), [0, 7, 255]), SegmentImages()
    with pytest.raises(zoo.BadFile, match="0, 7, 255"):
        task.find(folder)
    task.given = {"dataset": {"num_classes": 3, "class_values": [0, 7, 255]}}
    assert "classes of the training pixels: 0 " in "\n".join(task.find(folder).details)


@pytest.mark.parametrize(
    ("given", "crop"), [({"height": 64, "width": 96}, (64, 96)), ({"shorter_side": 50}, (32, 64)), ({}, (96, 128))]
)
@pytest.mark.filterwarnings("ignore:mask-folder")
def test_the_crop_fits_into_images_of_the_size_that_is_given(tmp_path, given, crop):
    folder, task = of_sizes(tmp_path / "data", [(100, 130)] * 4), SegmentImages()
    task.given = {"dataset": given}
    settings = task.plan(folder, task.find(folder), CPU).values["dataset"]
    assert (settings["crop_height"], settings["crop_width"]) == crop
    assert "shorter_side" not in settings


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.filterwarnings("ignore:mask-folder")
def test_the_network_normalizes_its_input(tmp_path, channels):
    folder, task = of_sizes(tmp_path / "data", [(64, 64)] * 4, channels), SegmentImages()
    model = task.plan(folder, task.find(folder), CPU).values["model"]
    assert model["normalization"] == ("image" if channels == 1 else "fixed")
    assert model.get("mean", []) == [round(50 / 255, 4)] * 3 * (channels == 3)
    assert model.get("std", []) == [round(50 / 255, 4)] * 3 * (channels == 3)
    zoo.build("unet", {"in_channels": channels, "out_channels": 2, **{k: v for k, v in model.items() if k != "name"}})


def voc_palette():
    """The colors of PASCAL VOC, in which a class has the bits of its index."""
    return [
        sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3))
        for index in range(256)
        for channel in range(3)
    ]


def as_palette(mask):
    image = Image.fromarray(mask)
    image.putpalette(voc_palette())
    return image


FORMS = {
    "indices": Image.fromarray,
    "black and white": lambda mask: Image.fromarray(mask * 255),
    "one bit": lambda mask: Image.fromarray(mask * 255).convert("1"),
    "palette of VOC": as_palette,
    "RGB in the colors of VOC": lambda mask: as_palette(mask).convert("RGB"),
    "gray RGB": lambda mask: Image.fromarray(mask * 255).convert("RGB"),
    "16 bits": lambda mask: Image.fromarray(mask.astype(np.uint16)),
}


@pytest.mark.parametrize("suffix", ["", "_mask"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:mask-folder")
def test_copies_of_the_data_in_other_forms_have_the_same_plan_and_the_same_pixels(tmp_path, form, suffix):
    def planned(folder):
        task = SegmentImages()
        made = task.plan(folder, task.find(folder), CPU)
        settings = {key: value for key, value in made.values["dataset"].items() if key != "name"}
        examples = zoo.build("mask-folder", settings, kind="dataset").train()
        batch = []
        for number in range(len(examples)):
            torch.manual_seed(number)
            batch.append(examples[number])
        return {**made.values, "dataset": settings | {"folder": ""}}, batch

    expected, batch = planned(make(tmp_path / "data", (64, 96), [0, 0, 0, 1], count=6))
    copy = tmp_path / "copy"
    for name in ("images", "masks"):
        (copy / (name if not suffix else "")).mkdir(parents=True, exist_ok=True)
    for number in range(6):
        for name, ending in (("images", ""), ("masks", suffix)):
            with Image.open(tmp_path / "data" / name / f"{number}.png") as image:
                changed = image if name == "images" else FORMS[form](np.asarray(image).copy())
                changed.save(copy / ("" if suffix else name) / f"{number}{ending}.png")
    found, same = planned(copy)
    assert found == expected
    for one, other in zip(batch, same, strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["mask"], other["mask"])


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


@pytest.mark.parametrize(
    ("names", "classes", "ignored"),
    [(("train", "trainannot"), 12, True), (("train", "trainannot"), 11, False), (("images", "masks"), 12, False)],
)
@pytest.mark.filterwarnings("ignore:mask-folder")
def test_unlabeled_pixels_are_ignored_in_folders_and_values_of_camvid_only(tmp_path, names, classes, ignored):
    task, folder = SegmentImages(), tmp_path / "data"
    for name in names:
        (folder / name).mkdir(parents=True)
    mask = np.repeat(np.arange(classes, dtype=np.uint8)[:, None], 64, axis=1)
    for number in range(5):
        Image.fromarray(mask * 20).save(folder / names[0] / f"{number}.png")
        Image.fromarray(mask).save(folder / names[1] / f"{number}.png")
    planned = task.plan(folder, task.find(folder), CPU)
    assert planned.values["dataset"].get("ignore_index") == (11 if ignored else None)
    assert "CamVid" in planned.reasons["dataset.ignore_index"]
    task.given = {"dataset": {"ignore_index": 255}}
    assert "ignore_index" not in task.plan(folder, task.find(folder), CPU).values["dataset"]


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_colors_that_are_to_be_gray_are_planned_for_as_gray_images(tmp_path):
    folder, task = make(tmp_path / "data", (40, 50, 3), [0, 255]), SegmentImages()
    task.given = {"dataset": {"color": "gray"}}
    plan = task.plan(folder, task.find(folder), CPU)
    assert plan.values["dataset"]["augmentation"] == "upright"
    assert plan.values["model"]["normalization"] == "image"
    assert plan.reasons["dataset.augmentation"].startswith("for gray images")


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_a_batch_is_planned_that_the_training_images_can_fill(tmp_path):
    folder, task = make(tmp_path / "data", (40, 50), [0, 255], count=3), SegmentImages()
    assert task.plan(folder, task.find(folder), CPU).values["run"]["batch_size"] == 1


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_dark_images_among_brighter_ones_can_be_predicted_as_they_are_trained_on(tmp_path):
    folder, task = make(tmp_path / "data", (40, 50), [0, 255], count=12), SegmentImages()
    random = np.random.default_rng(0)
    for path in (folder / "images").iterdir():
        highest = 9000 if path.stem == "7" else 60000
        Image.fromarray(random.integers(0, highest, (40, 50)).astype(np.uint16)).save(path)
    settings = task.plan(folder, task.find(folder), CPU).values["dataset"]
    assert settings["max_value"] == 65535
    dark = zoo.read_image(folder / "images" / "7.png", 1, settings["max_value"])
    assert 0.1 < float(dark.max()) < 0.14
