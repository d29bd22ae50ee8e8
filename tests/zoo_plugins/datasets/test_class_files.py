"""A mask file for each class of an image: they become one mask, unless they overlap."""

import warnings

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.mask_folder import MaskFolder

AREAS = np.random.default_rng(0).integers(0, 3, (12, 14)).astype(np.uint8)  # 0: no class


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def make(folder, form="{image}/{name}", names=("membrane", "nucleus"), white=255):
    """Five images, with a mask file for each class in folders of a certain form."""
    for image in "abcde":
        save(folder / "images" / f"{image}.png", AREAS * 80)
        for number, name in enumerate(names, start=1):
            path = folder / "masks" / form.format(image=image, name=name)
            save(path.with_name(f"{path.name}.png"), (number == AREAS) * np.uint8(white))
    return MaskFolder(MaskFolder.Config(folder=str(folder), color="gray"))


@pytest.mark.parametrize("form", ["{image}/{name}", "{name}/{image}"])
@pytest.mark.parametrize("white", [255, 1])
def test_a_folder_for_each_image_or_for_each_class(tmp_path, form, white):
    data = make(tmp_path, form, white=white)
    with pytest.warns(UserWarning, match="each class has mask files of its own: membrane, nucleus"):
        example = data.train()[0]
    assert np.array_equal(example["mask"].numpy(), AREAS)
    assert data.provides()["class_names"] == ("background", "membrane", "nucleus")
    assert data.class_counts() == [3 * int((number == AREAS).sum()) for number in range(3)]


def test_classes_that_overlap_are_refused_with_both_files(tmp_path):
    data = make(tmp_path)
    save(tmp_path / "masks" / "c" / "nucleus.png", (AREAS > 0) * np.uint8(255))
    overlap = int((AREAS == 1).sum())
    with pytest.raises(zoo.BadFile, match=f"nucleus.png and .*membrane.png overlap in {overlap} pixels") as error:
        data.train()
    assert "Write `dataset.overlap=combine`" in error.value.hint


def combined(folder, **settings):
    settings = {"color": "gray", "overlap": "combine", **settings}
    return MaskFolder(MaskFolder.Config(folder=str(folder), **settings))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["{image}/{name}", "{name}/{image}"])
def test_each_combination_of_overlapping_classes_is_a_class(tmp_path, form):
    make(tmp_path, form)
    expected = np.where(AREAS == 2, 2, AREAS)
    expected[:3] = np.where(AREAS[:3] == 1, 3, expected[:3])  # the upper membranes are nuclei as well
    for image in "abcde":
        path = tmp_path / "masks" / form.format(image=image, name="nucleus")
        save(path.with_name(f"{path.name}.png"), (expected >= 2) * np.uint8(255))
    data = combined(tmp_path)
    assert data.provides()["class_names"] == ("background", "membrane", "nucleus", "membrane+nucleus")
    assert np.array_equal(data.train()[0]["mask"].numpy(), expected)
    assert data.class_counts() == [3 * int((expected == number).sum()) for number in range(4)]
    assert data.fingerprint() != combined(tmp_path, split_seed=1).fingerprint()


@pytest.mark.filterwarnings("ignore")
def test_a_class_within_another_one_has_no_class_of_its_own(tmp_path):
    make(tmp_path)
    for image in "abcde":
        save(tmp_path / "masks" / image / "nucleus.png", (AREAS == 2) * np.uint8(255))
        save(tmp_path / "masks" / image / "membrane.png", (AREAS > 0) * np.uint8(255))
    data = combined(tmp_path)
    assert data.provides()["class_names"] == ("background", "membrane", "membrane+nucleus")
    assert np.array_equal(data.train()[0]["mask"].numpy(), AREAS)


def test_a_few_pixels_in_common_are_ignored(tmp_path):
    areas = np.zeros((40, 40), np.uint8)
    areas[5:20], areas[20:35] = 1, 2
    for image in "abcde":
        save(tmp_path / "images" / f"{image}.png", areas * 80)
        save(tmp_path / "masks" / image / "left.png", ((areas == 1) * 255).astype(np.uint8))
        touching = areas == 2
        touching[19, :4] = True  # less than 1 % of either
        save(tmp_path / "masks" / image / "right.png", (touching * 255).astype(np.uint8))
    data = combined(tmp_path)
    with pytest.warns(UserWarning, match="20 pixels of combinations with less than 2% of each of their classes"):
        mask = data.train()[0]["mask"].numpy()
    assert data.provides()["class_names"] == ("background", "left", "right")
    assert (mask[19, :4] == 255).all()
    assert np.array_equal(np.delete(mask, 19, axis=0), np.delete(areas, 19, axis=0))


def test_masks_that_do_not_overlap_are_the_same_if_they_are_to_be_combined(tmp_path):
    make(tmp_path)
    with pytest.warns(UserWarning, match="each class has mask files"):
        examples = combined(tmp_path).train()
    assert np.array_equal(examples[0]["mask"].numpy(), AREAS)


def test_a_class_called_background_is_class_0(tmp_path):
    for image in "abcde":
        save(tmp_path / "masks" / image / "background.png", (AREAS == 0) * np.uint8(255))
    data = make(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert data.provides()["class_names"] == ("background", "membrane", "nucleus")
        assert np.array_equal(data.train()[0]["mask"].numpy(), AREAS)


def test_a_file_of_more_than_one_class_is_refused(tmp_path):
    data = make(tmp_path)
    save(tmp_path / "masks" / "c" / "nucleus.png", AREAS)
    with pytest.raises(zoo.BadFile, match="contains 3 values, but should be the mask of one class"):
        data.train()


def test_a_mask_of_another_size_is_refused(tmp_path):
    data = make(tmp_path)
    save(tmp_path / "masks" / "c" / "nucleus.png", np.zeros((5, 5), np.uint8))
    with pytest.raises(zoo.BadFile, match="different sizes"):
        data.train()


def test_a_class_that_an_image_lacks_may_have_no_file(tmp_path):
    data = make(tmp_path)
    (tmp_path / "masks" / "c" / "nucleus.png").unlink()
    with pytest.warns(UserWarning, match=r"1 images have no mask file of some class, as c\.png"):
        data.train()
