"""Masks with a plane for each class: arrays, and TIFF files of several pages."""

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.fit.plan import recognize
from zoo_plugins.datasets.mask_folder import MaskFolder

CPU = zoo.Budget(minutes=5, memory=2**33, device="cpu")


def planes(number, height=40, width=48):
    """A cell, the nucleus within it, and dirt anywhere: (3, H, W)."""
    rows, columns = np.mgrid[:height, :width]
    distance = (rows - 14 - number) ** 2 + (columns - 16 - 2 * number) ** 2
    return np.stack([distance < 120, distance < 40, columns > 40])


def as_first_axis(path, masks):
    np.save(path.with_suffix(".npy"), masks.astype(np.uint8))


def as_last_axis(path, masks):
    np.save(path.with_suffix(".npy"), np.moveaxis(masks, 0, 2))


def as_pages(path, masks):
    first, *others = [Image.fromarray(mask.astype(np.uint8) * 255) for mask in masks]
    first.save(path.with_suffix(".tif"), save_all=True, append_images=others)


def make(folder, save, names=None, **settings):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(6):
        masks = planes(number)
        Image.fromarray((60 + 50 * masks.sum(axis=0)).astype(np.uint8)).save(folder / "images" / f"{number}.png")
        save(folder / "masks" / f"{number}", masks)
    if names:
        (folder / "classes.txt").write_text("\n".join(names))
    return MaskFolder(MaskFolder.Config(folder=str(folder), color="gray", **settings))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("save", [as_first_axis, as_last_axis, as_pages])
def test_a_plane_is_the_mask_of_a_class(tmp_path, save):
    data = make(tmp_path, save, overlap="combine")
    assert data.provides()["class_names"] == ("background", "1", "3", "1+2")
    cell, nucleus, dirt = planes(0)
    expected = np.select([nucleus, cell, dirt], [3, 1, 2])
    examples = next(part for part in (data.train(), data.validation(), data.test()) if "0.png" in names_of(part))
    assert np.array_equal(examples[names_of(examples).index("0.png")]["mask"].numpy(), expected)


def names_of(examples):
    return [pair.image.name for pair in examples.pairs]


@pytest.mark.filterwarnings("ignore")
def test_the_fingerprint_is_that_of_the_files(tmp_path):
    data = make(tmp_path, as_first_axis, overlap="combine")
    before = data.fingerprint()
    np.save(tmp_path / "masks" / "2.npy", planes(5))
    after = MaskFolder(data.config).fingerprint()
    assert before != after


@pytest.mark.parametrize("names", [["cell", "nucleus", "dirt"], ["background", "cell", "nucleus", "dirt"]])
def test_zoo_fit_plans_a_class_for_each_combination(tmp_path, names):
    make(tmp_path, as_first_axis, names)
    recognized = recognize(tmp_path, Catalog())
    assert recognized.entry.name == "segment"
    assert any("a mask has a plane for each class" in line for line in recognized.finding.details)
    assert any("each combination is a class: cell+nucleus" in line for line in recognized.finding.details)
    planned = recognized.task.plan(tmp_path, recognized.finding, CPU)
    assert planned.values["dataset"]["overlap"] == "combine"
    dataset = dict(planned.values["dataset"])
    built = zoo.build(dataset.pop("name"), dataset, kind="dataset")
    with pytest.warns(UserWarning, match="classes overlap"):
        assert built.provides()["class_names"] == ("background", "cell", "dirt", "cell+nucleus")


@pytest.mark.parametrize(
    ("number", "names", "message"),
    [
        (2, None, r"5\.npy has 2 planes, but 0\.npy has 3"),
        (3, ["cell", "nucleus"], r"classes\.txt names 2 classes, but .*0\.npy has 3 planes"),
    ],
)
def test_planes_that_do_not_fit_are_refused(tmp_path, number, names, message):
    data = make(tmp_path, as_first_axis, names)
    np.save(tmp_path / "masks" / "5.npy", planes(5)[:number])
    with pytest.raises(zoo.BadFile, match=message):
        data.train()


@pytest.mark.parametrize(("save", "name"), [(as_first_axis, "2.npy"), (as_pages, "2.tif")])
def test_a_damaged_file_is_named_whatever_the_others_are(tmp_path, save, name):
    data = make(tmp_path, save)
    (tmp_path / "masks" / name).write_bytes(b"damaged")
    with pytest.raises(zoo.BadFile, match=name):
        data.train()


def test_arrays_of_several_images_are_refused(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((8, 20, 20), np.uint8))
    np.save(tmp_path / "images_mask.npy", np.zeros((8, 20, 20), np.uint8))
    with pytest.raises(zoo.BadFile, match="hold arrays of 8 images and masks"):
        MaskFolder(MaskFolder.Config(folder=str(tmp_path))).train()


def test_a_plane_of_more_than_one_value_is_named(tmp_path):
    data = make(tmp_path, as_first_axis)
    np.save(tmp_path / "masks" / "2.npy", planes(2) * np.arange(48))
    with pytest.raises(zoo.BadFile, match=r"2\.npy#page=0 contains \d+ values, but should be the mask of one class"):
        data.train()
