"""Folders in forms that are not read end in two lines, which name a file and what to do."""

import json

import numpy as np
import pytest
from PIL import Image

from zoo_core.errors import ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.fit.plan import recognize


def image(path, number=0, mask=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(number)
    pixels = random.integers(0, 255, (24, 24), dtype=np.uint8)
    Image.fromarray((pixels > 127) * np.uint8(255) if mask else pixels).save(path)


def text(path, content="0 0.5 0.5 0.2 0.2"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def yolo(folder):
    for number in range(4):
        image(folder / "train" / "images" / f"{number}.jpg", number)
        text(folder / "train" / "labels" / f"{number}.txt")


def labelme(folder):
    for number in range(20):
        image(folder / f"{number}.jpg", number)
        text(folder / f"{number}.json", json.dumps({"shapes": []}))


def matlab(folder):
    for number in range(4):
        image(folder / "images" / f"{number}.jpg", number)
        text(folder / "groundTruth" / f"{number}.mat", "MATLAB")


def classes_in_a_table(folder):
    for number in range(4):
        image(folder / "images" / f"{number}.jpg", number)
    text(folder / "labels.csv", "0.jpg,cat")


def volumes(folder):
    for number in range(4):
        text(folder / "imagesTr" / f"{number}.nii.gz")
        text(folder / "labelsTr" / f"{number}.nii.gz")


def slices(folder):
    text(folder / "series" / "1.dcm")


def archive(folder):
    text(folder / "data.zip")


def hdf5(folder):
    text(folder / "data.h5")


def parquet(folder):
    text(folder / "data" / "train-00000-of-00001.parquet")


def no_ending(folder):
    text(folder / "train-images-idx3-ubyte")


def channels(folder):
    for number in range(4):
        for channel in range(2):
            image(folder / "imagesTr" / f"case{number}_{channel:04}.png", number)
        image(folder / "labelsTr" / f"case{number}.png", number, mask=True)


def field_of_view(folder):
    for number in range(21, 25):
        image(folder / "training" / "images" / f"{number}_training.tif", number)
        image(folder / "training" / "1st_manual" / f"{number}_manual1.gif", number, mask=True)
        image(folder / "training" / "mask" / f"{number}_training_mask.gif", number, mask=True)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (yolo, "4 annotations such as .*0.txt", "Convert them to COCO JSON"),
        (labelme, "0.json and 19 more are annotations", "Write `--task generate` if it is that; convert them to COCO"),
        (matlab, "4 annotations such as .*0.mat", "Convert them to COCO JSON"),
        (classes_in_a_table, "images in `images`", r"If labels.csv says the class of each image"),
        (volumes, "8 files ending in .gz", "slices of the files ending in .nii.gz as PNG"),
        (slices, "1 file ending in .dcm", "slices of the files ending in .dcm as PNG"),
        (archive, "1 file ending in .zip", "Unpack data.zip"),
        (hdf5, "1 file ending in .h5", "Save the images and masks in the files ending in .h5 as PNG"),
        (parquet, "1 file ending in .parquet", "Save the images and masks in the files ending in .parquet as PNG"),
        (no_ending, "it contains 1 file without an ending, as train-images-idx3-ubyte", "Known are"),
        (channels, "case0_0000.png and case0_0001.png are channels of one image", "Save the 2 channels"),
        (field_of_view, "`training/images` with `training/1st_manual`", "dataset.masks=training/1st_manual"),
    ],
)
def test_two_lines_name_a_file_and_the_cure(tmp_path, make, message, hint):
    make(tmp_path)
    with pytest.raises(ZooError, match=message) as error:
        recognize(tmp_path, Catalog())
    assert hint in error.value.hint
    assert "\n" not in f"{error.value.message}{error.value.hint}"


def test_a_chosen_field_of_view_or_manual_mask_is_used(tmp_path):
    field_of_view(tmp_path)
    words = ["dataset.images=training/images", "dataset.masks=training/1st_manual"]
    found = recognize(tmp_path, Catalog(), None, words)
    assert "images in `training/images` with masks in `training/1st_manual`" in found.finding.details[0]


def test_class_folders_are_found_within_the_only_folders(tmp_path):
    for name in ("Äpfel rot", "Birnen"):
        for number in range(6):
            image(tmp_path / "data" / "data" / name / f"{number} (1).PNG", number + len(name))
    found = recognize(tmp_path, Catalog())
    assert found.finding.summary == "12 images of 2 classes"
    planned = found.task.plan(tmp_path, found.finding, _budget())
    assert planned.values["dataset"]["folder"] == str(tmp_path / "data" / "data")


def _budget():
    import zoo_core as zoo

    return zoo.Budget(minutes=5, memory=2**33, device="cpu")
