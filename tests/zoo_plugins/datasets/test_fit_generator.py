"""What ``zoo fit`` plans for images without labels, and for class folders if it is asked to generate."""

import warnings

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.fit.plan import recognize
from zoo_plugins.datasets.fit_generator import MOST_VALUES, GenerateImages, planned_size

CPU = zoo.Budget(minutes=5, memory=2**33, device="cpu")
RANDOM = np.random.default_rng(0)


def draw(path, height=12, width=16, mode="RGB", low=0, high=256):
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = {"L": (), "RGB": (3,), "RGBA": (4,), "LA": (2,), "CMYK": (4,), "I;16": ()}[mode]
    values = RANDOM.integers(low, high, (height, width, *depth))
    kind = np.uint16 if mode == "I;16" else np.uint8
    Image.fromarray(values.astype(kind), mode=None if mode in ("L", "RGB", "I;16") else mode).save(path)


def fill(folder, count=30, name="{}.png", **how):
    for number in range(count):
        draw(folder / name.format(number), **how)
    return folder


def plan_of(folder):
    task = GenerateImages()
    finding = task.find(folder)
    assert finding is not None
    plan = task.plan(folder, finding, CPU)
    dataset = {key: value for key, value in plan.values["dataset"].items() if key != "name"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = zoo.build("image-folder", dataset, kind="dataset").train()[0]["image"]
    assert 0 <= image.min() <= image.max() <= 1
    return plan, finding, tuple(image.shape)


def test_a_folder_of_images_is_planned_without_being_asked(tmp_path):
    recognized = recognize(fill(tmp_path / "photos"), Catalog())
    assert recognized.entry.name == "generate"
    plan, finding, shape = plan_of(tmp_path / "photos")
    assert finding.summary == "30 images"
    assert shape == (3, 12, 16)
    assert plan.values["model"]["conditional"] is False
    assert plan.values["dataset"] == {"name": "image-folder", "folder": str(tmp_path / "photos"), "labels": "none"}
    assert plan.values["trainer"]["same_label_group_size"] == 1
    assert plan.values["run"]["batch_size"] == 12


def test_class_folders_are_classified_unless_generate_is_asked_for(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / name)
    assert recognize(tmp_path, Catalog()).entry.name == "classify"
    assert recognize(tmp_path, Catalog(), "generate").finding.summary == "60 images of 2 classes"
    plan, _, _ = plan_of(tmp_path)
    assert plan.values["model"]["conditional"] is True
    assert plan.values["dataset"]["labels"] == "folders"
    assert plan.values["trainer"]["same_label_group_size"] == 4


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((96, 96, 3), (40, 40)),
        ((720, 960, 3), (36, 48)),
        ((360, 480, 1), (60, 80)),
        ((20, 16, 1), (20, 16)),
        ((5000, 10, 3), (400, 4)),
        ((10, 5000, 3), (4, 400)),
        ((4, 4, 1), (4, 4)),
    ],
)
def test_large_images_are_reduced_with_about_their_aspect(size, expected):
    assert planned_size(*size) == expected
    assert expected[0] * expected[1] * size[2] <= 1.2 * MOST_VALUES


@pytest.mark.parametrize(
    ("how", "smoothing"),
    [({"height": 96, "width": 96}, 1), ({}, None), ({"height": 96, "width": 96, "mode": "L"}, None)],
)
def test_photos_are_smoothed_and_small_or_gray_images_are_not(tmp_path, how, smoothing):
    plan, _, _ = plan_of(fill(tmp_path / "images", **how))
    assert plan.values["model"].get("smoothing") == smoothing


def test_frames_that_follow_one_another_are_named(tmp_path):
    for number in range(24):
        pixels = np.zeros((24, 48), np.uint8)
        pixels[6:14, number : number + 12] = 255
        (tmp_path / "clip").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "clip" / f"{number}.png")
    finding = GenerateImages().find(tmp_path / "clip")
    assert any("follow one another, like the frames of a clip" in line for line in finding.details)


def beside(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def copied(folder, count):
    for number in range(count):
        (folder / f"copy{number}.png").write_bytes((folder / f"{number}.png").read_bytes())
    return folder


# Odd folders: how they are made, and what the plan has.
ODD = {
    "gray": (lambda at: fill(at, mode="L"), (1, 12, 16)),
    "gray and color": (lambda at: fill(fill(at, mode="L"), name="c{}.png"), (3, 12, 16)),
    "several sizes": (lambda at: fill(fill(at), 40, "b{}.png", height=20, width=24), (3, 20, 24)),
    "transparent": (lambda at: fill(at, mode="RGBA"), (3, 12, 16)),
    "gray with transparency": (lambda at: fill(at, mode="LA"), (1, 12, 16)),
    "CMYK": (lambda at: fill(at, name="{}.jpg", mode="CMYK"), (3, 12, 16)),
    "JPEG": (lambda at: fill(at, name="{}.JPG"), (3, 12, 16)),
    "BMP and PNG": (lambda at: fill(fill(at), name="{}.bmp"), (3, 12, 16)),
    "GIF of one frame": (lambda at: fill(at, name="{}.gif", mode="L"), (1, 12, 16)),
    "16 bits": (lambda at: fill(at, mode="I;16", high=65536), (1, 12, 16)),
    "12 bits in 16": (lambda at: fill(at, mode="I;16", high=4096), (1, 12, 16)),
    "hidden files": (lambda at: beside(fill(at), "._0.png", ".DS_Store"), (3, 12, 16)),
    "texts beside": (lambda at: beside(fill(at), "labels.csv", "readme"), (3, 12, 16)),
    "nested": (lambda at: fill(at, name="2019/june/{}.png"), (3, 12, 16)),
    "nested and beside": (lambda at: fill(fill(at), name="old/{}.png"), (3, 12, 16)),
    "a folder of texts beside": (lambda at: beside(fill(at), "notes/a.txt"), (3, 12, 16)),
    "a hidden folder beside": (lambda at: fill(fill(at), 3, ".git/{}.png"), (3, 12, 16)),
    "splits": (lambda at: fill(fill(at, name="train/{}.png"), 5, "test/{}.png"), (3, 12, 16)),
    "one of 1 x 1": (lambda at: fill(fill(at), 1, "small.png", height=1, width=1), (3, 12, 16)),
    "5000 x 10": (lambda at: fill(at, 20, height=5000, width=10), (3, 400, 4)),
    "copies": (lambda at: copied(fill(at), 9), (3, 12, 16)),
    "names in several scripts": (lambda at: fill(at, name="фото {} ü.png"), (3, 12, 16)),
    "large": (lambda at: fill(at, 20, height=360, width=480), (3, 36, 48)),
    "few": (lambda at: fill(at, 20), (3, 12, 16)),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_folders_are_planned_for(name, tmp_path):
    make, expected = ODD[name]
    folder = make(tmp_path / "images")
    assert recognize(folder, Catalog(), "generate").entry.name == "generate"
    plan, _, shape = plan_of(folder)
    assert shape == expected
    assert plan.values["run"]["batch_size"] % 4 == 0


def test_the_value_of_white_is_in_the_plan_with_its_reason(tmp_path):
    plan, _, _ = plan_of(fill(tmp_path / "deep", mode="I;16", high=4096))
    assert plan.values["dataset"]["max_value"] == 4095
    assert plan.reasons["dataset.max_value"] == "the value of white; change it if it is another"


def animated(folder):
    fill(folder)
    frames = [Image.fromarray(RANDOM.integers(0, 256, (12, 16), dtype=np.uint8)) for _ in range(3)]
    frames[0].save(folder / "moves.gif", save_all=True, append_images=frames[1:])


def alike(folder):
    fill(folder, 1)
    for number in range(40):
        (folder / f"copy{number}.png").write_bytes((folder / "0.png").read_bytes())


def with_masks(folder):
    fill(folder / "images")
    for number in range(30):
        draw(folder / "masks" / f"{number}.png", mode="L", high=2)


def written(name, content=b"x"):
    def write(folder):
        fill(folder)
        (folder / name).write_bytes(content)

    return write


def only(name):
    def write(folder):
        folder.mkdir()
        (folder / name).write_bytes(b"x")

    return write


# Folders that nothing can be learned from: how they are made, and what the message names.
REFUSED = {
    "one image": (lambda at: fill(at, 1), "3 different", "Add images"),
    "ten images": (lambda at: fill(at, 10), "has 8 training images, but at least 16 are needed", "Add images"),
    "one image many times": (alike, "3 different", "Add images"),
    "an animated GIF": (animated, r"moves\.gif holds 3 frames", "one frame"),
    "a truncated PNG": (written("cut.png", b"\x89PNG\r\n\x1a\n\0\0"), r"cut\.png", ""),
    "an empty PNG": (written("empty.png", b""), r"empty\.png", ""),
    "text called PNG": (written("text.png", b"hello"), r"text\.png", ""),
    "1 x 1 pixels": (lambda at: fill(at, height=1, width=1, mode="L"), r"\.png is 1 x 1 pixels", "larger images"),
    "2 x 50 pixels": (lambda at: fill(at, height=2, width=50), "2 x 50 pixels", "larger images"),
    "HEIC": (only("a.heic"), r"1 file ending in \.heic", "to PNG"),
    "a video": (only("a.mp4"), r"1 file ending in \.mp4", "Save the frames"),
    "masks": (with_masks, "contains images with masks", "--task segment"),
    "a class of 4": (lambda at: fill(fill(at, name="a/{}.png"), 4, "b/{}.png"), "class b of .* has 2 training", "Add"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_nothing_can_be_learned_from_is_refused_with_its_cure(name, tmp_path):
    make, message, hint = REFUSED[name]
    folder = tmp_path / "images"
    make(folder)
    with pytest.raises(zoo.ZooError, match=message) as refused:
        recognize(folder, Catalog(), "generate")
    assert hint in refused.value.hint
    assert refused.value.hint


@pytest.mark.parametrize("name", ["notes.txt", "table.csv"])
def test_a_folder_without_images_is_of_no_task(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(zoo.BadFile, match="no form that a task knows"):
        recognize(tmp_path, Catalog())
