"""Images without labels: anywhere in a folder, with given splits or without."""

import warnings

import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.image_folder import ImageFolder


def make(folder, **settings):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = ImageFolder(ImageFolder.Config(folder=str(folder), labels="none", **settings))
        data.train()
    return data, "; ".join(str(one.message) for one in said)


def draw(path, number=0, size=(8, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = torch.randint(0, 256, size, generator=torch.Generator().manual_seed(hash_of(path) + number))
    Image.fromarray(pixels.byte().numpy()).save(path)


def hash_of(path):
    return sum(index * ord(letter) for index, letter in enumerate(str(path)))


def fill(folder, *names, count=10):
    for name in names:
        for number in range(count):
            draw(folder / name / f"{number}.png", number)
    return folder


def sizes(data):
    return [len(split) for split in (data.train(), data.validation(), data.test())]


@pytest.mark.parametrize("cache_mb", [0, 2048])
def test_all_images_below_the_folder_are_examples_without_a_label(tmp_path, cache_mb):
    data, said = make(fill(tmp_path, ".", "2019", "2020/june"), cache_mb=cache_mb)
    assert sizes(data) == [24, 3, 3]
    assert not said
    assert data.train()[0].keys() == {"image"}
    assert data.train()[0]["image"].shape == (1, 8, 10)
    assert data.provides() == {"in_channels": 1, "height": 8, "width": 10, "resize": "crop"}


def test_given_splits_are_used_unless_there_are_images_beside_them(tmp_path):
    fill(fill(tmp_path, "train/a", "train/b", count=7), "val", "test/x", count=2)
    assert sizes(make(tmp_path)[0]) == [14, 2, 2]
    draw(tmp_path / "one.png")
    assert sum(sizes(make(tmp_path)[0])) == 19


def test_a_missing_split_is_taken_from_the_training_images(tmp_path):
    data, said = make(fill(tmp_path, "train", count=20))
    assert sizes(data) == [16, 2, 2]
    assert "the folder has no validation and no test split" in said


def test_what_is_no_image_is_left_out_and_counted(tmp_path):
    fill(tmp_path, ".")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert "left out: 1 file ending in .txt, 1 hidden file" in make(tmp_path)[1]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [("a.heic", "contains no images, but 1 file ending in .heic", "Convert the files ending in .heic to PNG"),
     ("a.mp4", "contains no images, but 1 file ending in .mp4", "Save the frames"),
     ("a.csv", "contains no images, but 1 file ending in .csv", "Put PNG or JPEG images into it")],
)  # fmt: skip
def test_a_folder_without_images_is_an_error(tmp_path, name, message, hint):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(zoo.ZooError, match=message) as refused:
        make(tmp_path)
    assert hint in refused.value.hint


def test_two_images_are_too_few_for_three_splits(tmp_path):
    with pytest.raises(zoo.ZooError, match="there are no 3 different ones"):
        make(fill(tmp_path, ".", count=2))


def test_the_fingerprint_of_class_folders_is_that_of_before_there_were_images_without_labels(tmp_path, monkeypatch):
    fill(tmp_path, "a", "b")
    data = ImageFolder(ImageFolder.Config(folder=str(tmp_path)))
    settings = {
        "color": "auto", "max_value": None, "height": 0, "width": 0, "resize": "crop", "validation_fraction": 0.1,
        "test_fraction": 0.1, "split_seed": 0,
    }  # fmt: skip
    files = [sample.path for split in data._read.splits.values() for sample in split]
    assert data.fingerprint() == zoo.fingerprint_files(files, settings, folder=tmp_path)
    assert make(tmp_path)[0].fingerprint() != data.fingerprint()
