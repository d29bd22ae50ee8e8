"""COCO files: which are found, where their images are, and what is refused."""

import json

import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.coco import find_coco

CATEGORIES = [{"id": 7, "name": "car"}, {"id": 2, "name": "tree"}]


def images(*names):
    return [{"id": number, "file_name": name, "height": 6, "width": 8} for number, name in enumerate(names)]


def write(path, names=("a.png",), at=None, **changes):
    """A COCO file, and its images in the folder ``at``, by default its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images(*names), "annotations": [], "categories": CATEGORIES, **changes}
    path.write_text(json.dumps(content))
    for name in names:
        file = (at or path.parent) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6)).save(file)


LAYOUTS = [
    (["train/_annotations.coco.json"], None, ["train"]),
    (["train/_annotations.coco.json", "valid/_annotations.coco.json"], None, ["train", "validation"]),
    (["annotations/instances_train2017.json"], "train2017", ["train"]),
    (["annotations/instances_train.json"], "images/train", ["train"]),
    (["annotations/instances_default.json"], "images/default", [""]),
    (["annotations/instances_default.json"], "images", [""]),
    (["instances_train.json", "instances_val.json"], "images", ["train", "validation"]),
    (["annotations.json"], None, [""]),
    (["coco.json"], "images", [""]),
    (["result_coco.json"], "data", [""]),
    (["train.json"], "train", ["train"]),
]


@pytest.mark.parametrize(("files", "folder", "splits"), LAYOUTS)
def test_the_usual_places_are_found(tmp_path, files, folder, splits):
    for file in files:
        write(tmp_path / file, at=tmp_path / folder if folder else None)
    found = find_coco(tmp_path)
    assert [one.split for one in found] == splits
    assert all(one.images[0].path.is_file() for one in found)
    assert list(found[0].categories) == [2, 7]


@pytest.mark.parametrize("name", ["settings.json", "captions_train.json", "person_keypoints_val.json"])
def test_other_files_are_none(tmp_path, name):
    write(tmp_path / name)
    (tmp_path / "annotations.json").write_text('{"images": 3}')
    assert find_coco(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": images("../b.png")}, r"lists the image '\.\./b\.png', which is outside of the folder"),
        ({"images": images("/etc/b.png")}, "outside of the folder"),
        ({"images": images("C:\\b.png")}, "outside of the folder"),
        ({"images": images("http://x/b.png")}, "outside of the folder"),
        ({"images": images("x\\..\\..\\b.png")}, "outside of the folder"),
        ({"images": images("b.png")}, r"lists the image 'b\.png', which is not in"),
        ({"images": images("a.png", "a.png")}, "lists the image 1, a.png, twice"),
        ({"images": [{"id": 1}]}, "no valid `file_name`"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 0, "width": 8}]}, "has 0 x 8 pixels"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 10**9, "width": 10**9}]}, "x 1000000000 pixels"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": "6", "width": 8}]}, "no valid `height`"),
        ({"images": [3]}, "no valid `id`"),
        (
            {"annotations": [{"id": 5, "image_id": 9, "category_id": 7}]},
            "annotation 5 is for the image 9, which is not",
        ),
        ({"annotations": [{"id": 5, "image_id": 0, "category_id": 1}]}, "for the category 1, which is not listed"),
        ({"annotations": [{}]}, "no valid `image_id`"),
        ({"categories": [CATEGORIES[0], CATEGORIES[0]]}, "has the category 7, 'car', twice"),
        ({"categories": [{"id": 1}]}, "no valid `name`"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(tmp_path, changes, message):
    write(tmp_path / "annotations.json", **changes)
    with pytest.raises(zoo.BadFile, match=message) as error:
        find_coco(tmp_path)
    assert str(tmp_path / "annotations.json") in error.value.message
    assert error.value.hint


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "\xff"])
def test_damaged_json_is_refused(tmp_path, content):
    (tmp_path / "instances_train.json").write_text(content, encoding="latin-1")
    with pytest.raises(zoo.BadFile, match=r"instances_train\.json can't be read as JSON"):
        find_coco(tmp_path)


def test_two_files_for_one_split_are_refused(tmp_path):
    write(tmp_path / "train.json")
    write(tmp_path / "annotations" / "instances_train.json")
    with pytest.raises(zoo.ZooError, match="two layouts fit"):
        find_coco(tmp_path)
