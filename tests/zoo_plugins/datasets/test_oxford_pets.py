"""Oxford-IIIT Pet, with a small folder in torchvision's layout whose images are digits."""

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.oxford_pets import OxfordPets

TRAINVAL, TEST = 12, 3


def make(root, **settings):
    settings = {"download": False, "height": 28, "width": 28, **settings}
    return OxfordPets(OxfordPets.Config(root=root and str(root), **settings))


@pytest.fixture(scope="module")
def digits():
    """(15, 28, 28) uint8"""
    images = zoo.build("mnist", {"source": "subset"}, kind="dataset").test().tensors["image"]
    return images[: 15 * 60 : 60, 0].mul(255).round().byte().numpy()


def trimap_of(digit):
    """1 animal, 2 background, 3 border."""
    return np.select([digit > 170, digit == 0], [1, 2], 3).astype(np.uint8)


def name_of(number):
    return f"{'Abyssinian' if number % 2 else 'beagle'}_{number}"


@pytest.fixture
def root(tmp_path, digits):
    """A data root with twelve images in trainval and three in test."""
    base = tmp_path / "oxford-iiit-pet"
    (base / "images").mkdir(parents=True)
    (base / "annotations" / "trimaps").mkdir(parents=True)
    lists = {"trainval": range(TRAINVAL), "test": range(TRAINVAL, TRAINVAL + TEST)}
    for split, numbers in lists.items():
        lines = [f"{name_of(n)} {1 if n % 2 else 2} {1 if n % 2 else 2} 1\n" for n in numbers]
        (base / "annotations" / f"{split}.txt").write_text("".join(lines))
    for number, digit in enumerate(digits):
        Image.fromarray(np.stack([digit] * 3, axis=2)).save(base / "images" / f"{name_of(number)}.jpg", quality=100)
        Image.fromarray(trimap_of(digit)).save(base / "annotations" / "trimaps" / f"{name_of(number)}.png")
    return tmp_path


def test_images_are_rgb_and_trimaps_have_classes_0_to_2(root, digits):
    test = make(root).test()
    assert len(test) == TEST
    for number in range(TEST):
        example, digit = test[number], digits[TRAINVAL + number]
        assert (example["image"].dtype, example["mask"].dtype) == (torch.float32, torch.int64)
        assert example["image"].shape == (3, 28, 28)
        torch.testing.assert_close(example["image"][0], torch.from_numpy(digit) / 255, rtol=0, atol=0.05)
        assert np.array_equal(example["mask"].numpy(), trimap_of(digit) - 1)
        assert example["mask"].unique().tolist() == [0, 1, 2]


def test_every_tenth_image_of_trainval_is_for_validation_and_the_splits_are_disjoint(root):
    data = make(root)
    indices = [split.indices for split in (data.train(), data.validation())]
    assert indices == [[1, 2, 3, 4, 5, 6, 7, 8, 9, 11], [0, 10]]
    images = [split[k]["image"].numpy().tobytes() for split in (data.train(), data.validation(), data.test())
              for k in range(len(split))]  # fmt: skip
    assert len(images) == len(set(images)) == TRAINVAL + TEST


@pytest.mark.parametrize(("height", "width"), [(14, 20), (56, 40), (28, 28)])
def test_images_are_resized_and_trimaps_keep_their_class_indices(root, height, width):
    example = make(root, height=height, width=width).train()[0]
    assert example["image"].shape == (3, height, width)
    assert example["mask"].shape == (height, width)
    assert set(example["mask"].unique().tolist()) <= {0, 1, 2}
    assert 0 <= example["image"].min() <= example["image"].max() <= 1


def test_grayscale_and_palette_images_become_rgb(root, digits):
    path = root / "oxford-iiit-pet" / "images" / f"{name_of(TRAINVAL)}.jpg"
    for mode in ("L", "P"):
        Image.fromarray(digits[TRAINVAL]).convert(mode).save(
            path, format="PNG"
        )  # a few files of the dataset are not JPEG
        example = make(root).test()[0]
        torch.testing.assert_close(example["image"], torch.from_numpy(digits[TRAINVAL]).expand(3, -1, -1) / 255)


def test_the_data_root_comes_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(root))
    assert len(make(None).train()) == 10


def test_the_fingerprint_depends_on_the_size_and_the_file_lists(root):
    one = make(root).fingerprint()
    assert one == make(root).fingerprint()
    assert one != make(root, height=30).fingerprint()
    path = root / "oxford-iiit-pet" / "annotations" / "test.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert one != make(root).fingerprint()


def test_the_fingerprint_notices_one_changed_pixel(root):
    one = make(root).fingerprint()
    assert len(one) == 64
    path = root / "oxford-iiit-pet" / "annotations" / "trimaps" / f"{name_of(TRAINVAL + 1)}.png"
    with Image.open(path) as image:
        trimap = np.array(image)
    changed = trimap.copy()
    changed[3, 4] = 3 - changed[3, 4] % 3 % 2
    assert (changed != trimap).sum() == 1
    Image.fromarray(changed).save(path)
    assert make(root).fingerprint() != one
    Image.fromarray(trimap).save(path)
    assert make(root).fingerprint() == one


@pytest.mark.parametrize("number", [0, TRAINVAL])
def test_a_damaged_file_is_found_before_the_first_example_is_read(root, number):
    path = root / "oxford-iiit-pet" / "images" / f"{name_of(number)}.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(zoo.BadFile, match=rf"{name_of(number)}\.jpg can't be read"):
        (make(root).train, make(root).test)[number > 0]()


def test_a_trimap_with_another_value_is_an_error_that_names_it(root, digits):
    path = root / "oxford-iiit-pet" / "annotations" / "trimaps" / f"{name_of(2)}.png"
    Image.fromarray(trimap_of(digits[2]) * 80).save(path)
    with pytest.raises(zoo.BadFile, match=r"beagle_2\.png contains 80, 160, 240, but should contain 1, 2 and 3"):
        make(root).train()


def test_its_recipe_trains_on_it(root, tmp_path):
    run = zoo.run(
        "unet-pets", f"dataset.root={root}", "dataset.height=32", "dataset.width=32", "dataset.download=false",
        "model.base_channels=4", "model.depth=2", "run.epochs=1", "run.batch_size=5", "run.device=cpu",
        "run.precision=float32", "run.preview_every=2", folder=tmp_path / "run",
    )  # fmt: skip
    assert run.step == 2
    assert run.test_metrics.keys() >= {"mean_iou", "iou/animal", "iou/background", "iou/border"}


@pytest.mark.parametrize(
    "missing",
    [
        "", "images", "annotations", "annotations/trainval.txt", "annotations/trimaps", "images/beagle_4.jpg",
        "annotations/trimaps/beagle_4.png",
    ],
)  # fmt: skip
def test_missing_files_are_an_error_if_download_is_false(root, missing):
    base = root / "oxford-iiit-pet"
    (base / missing).rename(root / "elsewhere")
    with pytest.raises(zoo.ZooError, match="is missing or incomplete") as error:
        make(root).train()
    assert str(base) in error.value.message
    if missing.count("/") and "trimaps" not in missing.split("/")[-1]:
        assert missing in error.value.message
    assert "dataset.download=true" in error.value.hint


def test_a_malformed_file_list_is_an_error(root):
    (root / "oxford-iiit-pet" / "annotations" / "test.txt").write_text("Not a list of pictures at all\n")
    with pytest.raises(zoo.ZooError, match="is missing or incomplete"):
        make(root).test()
