"""A TIFF of slices with a TIFF of their masks: each page is an image."""

import warnings

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.mask_folder import MaskFolder
from zoo_plugins.datasets.mask_stacks import file_of, is_part

SLICES = np.random.default_rng(0).integers(0, 256, (6, 12, 14), dtype=np.uint8)
MASKS = (SLICES > 100) * np.uint8(255)


def save(path, pages):
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=others)


def make(folder):
    return MaskFolder(MaskFolder.Config(folder=str(folder), color="gray"))


def by_page(data):
    parts = (data.train(), data.validation(), data.test())
    return {part.pairs[n].image.name: part[n] for part in parts for n in range(len(part))}


@pytest.mark.filterwarnings("ignore:mask-folder")
@pytest.mark.parametrize("names", [("train-volume.tif", "train-labels.tif"), ("images/s.tif", "masks/s.tiff")])
def test_each_page_is_an_image_with_the_mask_of_the_same_page(tmp_path, names):
    save(tmp_path / names[0], SLICES)
    save(tmp_path / names[1], MASKS)
    pairs = by_page(make(tmp_path))
    assert len(pairs) == 6
    for number in range(6):
        example = pairs[f"{names[0].split('/')[-1]}#page={number}"]
        assert np.array_equal((example["image"][0] * 255).round().numpy(), SLICES[number])
        assert np.array_equal(example["mask"].numpy() * 255, MASKS[number])
    assert "the 6 pages of 1 TIFF file are separate images" in make(tmp_path).layout.description


def test_a_stack_for_the_test_without_labels_is_left_out_as_that_of_isbi(tmp_path):
    save(tmp_path / "train-volume.tif", SLICES)
    save(tmp_path / "train-labels.tif", MASKS)
    save(tmp_path / "test-volume.tif", SLICES)
    with pytest.warns(UserWarning, match=r"left out of .*: 1 file ending in \.tif"):
        assert len(by_page(make(tmp_path))) == 6


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_stacks_of_several_splits_are_those_splits(tmp_path):
    for name, part in (("train", SLICES), ("val", SLICES[:2])):
        save(tmp_path / f"{name}-volume.tif", part)
        save(tmp_path / f"{name}-labels.tif", (part > 100) * np.uint8(255))
    data = make(tmp_path)
    assert [pair.image.name for pair in data.validation().pairs] == ["val-volume.tif#page=0", "val-volume.tif#page=1"]


def test_stacks_of_different_lengths_are_refused(tmp_path):
    save(tmp_path / "images" / "a.tif", SLICES)
    save(tmp_path / "masks" / "a.tif", MASKS[:5])
    with pytest.raises(zoo.BadFile, match=r"a\.tif has 6 pages, but its mask .*a\.tif has 5"):
        make(tmp_path).train()


def test_the_fingerprint_covers_stacks(tmp_path):
    save(tmp_path / "images" / "a.tif", SLICES)
    save(tmp_path / "masks" / "a.tif", MASKS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = make(tmp_path).fingerprint()
        changed = MASKS.copy()
        changed[5, 3, 4] ^= 255
        save(tmp_path / "masks" / "a.tif", changed)
        assert make(tmp_path).fingerprint() != before


def test_a_part_of_a_file_is_named_by_its_number(tmp_path):
    for name in ("a.tif#page=3", "annotations.json#image=12"):
        assert is_part(tmp_path / name)
        assert file_of(tmp_path / name) == tmp_path / name.partition("#")[0]
    for name in ("a.tif", "a#1.png", "a#page=x.png"):
        assert not is_part(tmp_path / name)
