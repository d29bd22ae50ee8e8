"""Pictures and masks in a folder: scenes of the shipped digits, saved as people save theirs."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import zoo_core as zoo
from zoo_plugins.datasets.mask_folder import MaskFolder, read_mask


def make(folder, **settings):
    return MaskFolder(MaskFolder.Config(**{"folder": str(folder), "classes": 11, "color": "gray", **settings}))


@pytest.fixture(scope="module")
def scenes():
    """Ten pictures and masks (N, 32, 40) uint8."""
    batch = (
        zoo.build("digit-scenes", {"source": "subset", "height": 32, "width": 40}, kind="dataset")
        .test()
        .__getitems__(range(10))
    )
    return batch["image"][:, 0].mul(255).round().byte().numpy(), batch["mask"].byte().numpy()


def save_palette(mask, path):
    picture = Image.fromarray(mask)
    picture.putpalette([value for number in range(256) for value in (number, 255 - number, 7)])
    assert picture.mode == "P"
    picture.save(path)


@pytest.fixture
def folder(tmp_path, scenes):
    """Ten pairs: pictures as PNG, masks with a palette and gray by turns."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number, (image, mask) in enumerate(zip(*scenes, strict=True)):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
        path = tmp_path / "masks" / f"{number}.png"
        save_palette(mask, path) if number % 2 else Image.fromarray(mask).save(path)
    return tmp_path


def parts(data):
    return data.train(), data.validation(), data.test()


def by_name(data):
    """Every pair by its name, from whatever part it is in."""
    return {part.pairs[number][0].stem: part[number] for part in parts(data) for number in range(len(part))}


def collated(examples):
    return {name: torch.stack([one[name] for one in examples]) for name in ("image", "mask")}


# -- pairs -------------------------------------------------------------------


def test_masks_with_a_palette_and_grey_ones_are_numbers_of_classes(folder, scenes):
    images, masks = scenes
    pairs = by_name(make(folder))
    assert len(pairs) == 10
    for number in range(10):
        pair = pairs[str(number)]
        assert (pair["image"].dtype, pair["mask"].dtype) == (torch.float32, torch.int64)
        torch.testing.assert_close(pair["image"], torch.from_numpy(images[number]).unsqueeze(0) / 255)
        assert np.array_equal(pair["mask"].numpy(), masks[number])


def test_a_mask_of_two_colours_may_be_black_and_white(folder, scenes):
    for number, mask in enumerate(scenes[1]):
        Image.fromarray(mask > 0).save(folder / "masks" / f"{number}.png")
    with Image.open(folder / "masks" / "0.png") as picture:
        assert picture.mode == "1"
    pairs = by_name(make(folder, classes=2))
    for number, mask in enumerate(scenes[1]):
        assert np.array_equal(pairs[str(number)]["mask"].numpy(), mask > 0)


def test_pictures_are_paired_by_name_whatever_their_ending(folder, scenes):
    for number in range(0, 10, 2):
        (folder / "images" / f"{number}.png").unlink()
        Image.fromarray(scenes[0][number]).save(folder / "images" / f"{number}.JPG", quality=95)
    (folder / "images" / "notes.txt").write_text("not a picture")
    (folder / "masks" / ".hidden.png").write_bytes(b"\0")
    pairs = by_name(make(folder, color="rgb"))
    for number in range(10):
        assert pairs[str(number)]["image"].shape == (3, 32, 40)
        assert np.array_equal(pairs[str(number)]["mask"].numpy(), scenes[1][number])


@pytest.mark.parametrize("ignore_index", [255, 77, 0])
def test_the_ignored_number_is_no_class_whatever_it_is_in_the_files(folder, scenes, ignore_index):
    for number, mask in enumerate(scenes[1]):
        changed = mask.copy()
        changed[:5] = ignore_index
        Image.fromarray(changed).save(folder / "masks" / f"{number}.png")
    for pair in by_name(make(folder, ignore_index=ignore_index)).values():
        assert (pair["mask"][:5] == 255).all()
        assert not (pair["mask"] == ignore_index).any() or ignore_index == 255


def test_a_photograph_that_lies_on_its_side_is_paired_with_the_mask_of_what_is_seen(folder, scenes):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen, turn it right by a quarter
    for number, image in enumerate(scenes[0]):
        lying = Image.fromarray(image).transpose(Image.Transpose.ROTATE_90)
        (folder / "images" / f"{number}.png").unlink()
        lying.save(folder / "images" / f"{number}.jpg", exif=exif, quality=100)
    for name, pair in by_name(make(folder)).items():
        assert pair["image"].shape == (1, 32, 40)
        assert np.array_equal(pair["mask"].numpy(), scenes[1][int(name)])
        upright = torch.from_numpy(scenes[0][int(name)]).unsqueeze(0) / 255
        torch.testing.assert_close(pair["image"], upright, rtol=0, atol=0.05)


# -- scaling -----------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(16, 20), (64, 80), (33, 17), (0, 20), (16, 0)])
def test_scaling_makes_no_new_numbers(folder, scenes, height, width):
    scaled = by_name(make(folder, height=height, width=width))
    for name, pair in scaled.items():
        mask = scenes[1][int(name)]
        size = (height or 32, width or 40)
        assert pair["image"].shape == (1, *size)
        assert pair["mask"].shape == size
        assert set(pair["mask"].unique().tolist()) <= set(np.unique(mask))
        assert float((pair["mask"] > 0).float().mean()) == pytest.approx((mask > 0).mean(), abs=0.02)
        assert 0 <= pair["image"].min() <= pair["image"].max() <= 1


def test_a_mask_that_is_doubled_has_every_number_four_times(folder, scenes):
    for name, pair in by_name(make(folder, height=64, width=80)).items():
        assert np.array_equal(pair["mask"].numpy(), np.kron(scenes[1][int(name)], np.ones((2, 2), np.uint8)))


# -- the split ---------------------------------------------------------------


def test_the_split_follows_from_its_seed_and_its_shares(folder):
    def names(**settings):
        return [[pair[0].stem for pair in part.pairs] for part in parts(make(folder, **settings))]

    assert list(map(len, names())) == [8, 1, 1]
    assert list(map(len, names(validation_fraction=0.3, test_fraction=0.2))) == [5, 3, 2]
    assert sorted(name for part in names() for name in part) == [str(number) for number in range(10)]
    assert names() == names()
    assert names() != names(split_seed=1)


@pytest.mark.parametrize(("validation", "evaluation"), [(0.01, 0.01), (0.5, 0.5), (0.9, 0.9), (0.1, 0.99)])
def test_every_part_has_a_pair_whatever_its_share(folder, validation, evaluation):
    lengths = [len(part) for part in parts(make(folder, validation_fraction=validation, test_fraction=evaluation))]
    assert min(lengths) >= 1
    assert sum(lengths) == 10


# -- reading -----------------------------------------------------------------


def test_files_are_read_when_a_pair_is_asked_for(folder, scenes):
    train = make(folder).train()
    image, mask = train.pairs[0]
    Image.fromarray(255 - scenes[0][0]).save(image)
    Image.fromarray(scenes[1][0]).save(mask)
    pair = train[0]
    torch.testing.assert_close(pair["image"], torch.from_numpy(255 - scenes[0][0]).unsqueeze(0) / 255)
    assert np.array_equal(pair["mask"].numpy(), scenes[1][0])


def test_workers_give_the_same_pairs(folder):
    train, order = make(folder).train(), [[0, 1], [5, 2], [3, 4]]
    loader = DataLoader(train, batch_sampler=order, num_workers=2, collate_fn=collated)
    for batch, numbers in zip(loader, order, strict=True):
        for name, tensor in collated([train[number] for number in numbers]).items():
            assert torch.equal(batch[name], tensor)


def test_the_fingerprint_follows_settings_and_files_but_not_their_place(folder, tmp_path_factory, scenes):
    one = make(folder).fingerprint()
    moved = folder.rename(tmp_path_factory.mktemp("moved") / "pairs")
    assert make(moved).fingerprint() == one
    assert make(moved, height=16, width=16).fingerprint() != one
    Image.fromarray(np.zeros((32, 40), np.uint8)).save(moved / "masks" / "3.png")
    assert make(moved).fingerprint() != one


def test_pictures_of_ones_own_are_trained_on(folder):
    run = zoo.run(
        "unet-masks", f"dataset.folder={folder}", "dataset.classes=11", "dataset.height=32", "dataset.width=32",
        "model.out_channels=11", "model.base_channels=4", "model.depth=2", "run.epochs=1", "run.batch_size=4",
        "run.workers=2", "run.device=cpu", "run.precision=float32", "run.preview_every=2", folder=folder / "run",
    )  # fmt: skip
    assert run.step == 2
    assert run.test_metrics.keys() >= {"mean_iou", "mean_dice", "pixel_accuracy", "iou/0"}
    assert (folder / "run" / "previews" / "step-000002.png").is_file()


# -- refusals ----------------------------------------------------------------


def refusal(folder, **settings):
    with pytest.raises(zoo.ZooError) as error:
        by_name(make(folder, **settings))
    return error.value


@pytest.mark.parametrize("name", ["images", "masks"])
def test_a_missing_folder_is_named(folder, name):
    (folder / name).rename(folder / "elsewhere")
    assert str(folder / name) in refusal(folder).message
    assert "`images` and `masks`" in refusal(folder).hint


def test_a_picture_without_a_mask_is_named(folder):
    (folder / "masks" / "3.png").unlink()
    error = refusal(folder)
    assert error.message == f"{folder / 'images' / '3.png'} has no mask in {folder / 'masks'}."
    assert "same name" in error.hint
    (folder / "masks" / "5.png").unlink()
    assert "nor have 1 others" in refusal(folder).message


def test_a_mask_without_a_picture_is_named(folder):
    (folder / "images" / "3.png").unlink()
    assert refusal(folder).message == f"{folder / 'masks' / '3.png'} has no picture in {folder / 'images'}."


def test_two_pictures_of_one_name_are_named(folder, scenes):
    Image.fromarray(scenes[0][3]).save(folder / "images" / "3.jpg")
    problem = refusal(folder).message
    assert "3.jpg" in problem
    assert "3.png" in problem


def test_fewer_than_three_pairs_are_refused(folder):
    for number in range(2, 10):
        for name in ("images", "masks"):
            (folder / name / f"{number}.png").unlink()
    assert "has 2 pairs of picture and mask; it takes 3" in refusal(folder).message


def test_a_mask_of_another_size_than_its_picture_is_named_with_both_sizes(folder, scenes):
    Image.fromarray(scenes[1][3].T.copy()).save(folder / "masks" / "3.png")
    for settings in ({}, {"height": 16, "width": 16}):
        problem = refusal(folder, **settings).message
        assert f"{folder / 'images' / '3.png'} is 32 x 40" in problem
        assert f"its mask {folder / 'masks' / '3.png'} is 40 x 32" in problem


def test_pictures_of_different_sizes_are_refused_unless_all_are_scaled(folder, scenes):
    Image.fromarray(scenes[0][3][:20].copy()).save(folder / "images" / "3.png")
    Image.fromarray(scenes[1][3][:20].copy()).save(folder / "masks" / "3.png")
    error = refusal(folder, height=16)
    assert "3.png is 20 x 40, but 0.png is 32 x 40" in error.message
    assert "dataset.height=128 dataset.width=128" in error.hint
    assert {pair["mask"].shape for pair in by_name(make(folder, height=16, width=24)).values()} == {(16, 24)}


def test_an_unknown_class_is_named_with_its_mask(folder, scenes):
    changed = scenes[1][3].copy()
    changed[:2, :4] = [[11, 12, 13, 254], [99, 98, 97, 96]]
    save_palette(changed, folder / "masks" / "3.png")
    error = refusal(folder)
    assert f"{folder / 'masks' / '3.png'} has the number 11, 12, 13, 96, 97," in error.message
    assert "the 11 classes are 0 to 10, and 255 is ignored" in error.message
    assert "dataset.classes" in error.hint
    assert read_mask(folder / "masks" / "3.png", 255, 255).max() == 254


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_a_mask_of_colours_is_refused(folder, scenes, mode):
    if mode == "I;16":
        Image.fromarray(scenes[1][3].astype(np.uint16)).save(folder / "masks" / "3.png")
    else:
        Image.fromarray(scenes[1][3]).convert(mode).save(folder / "masks" / "3.png")
    error = refusal(folder)
    assert (
        f"{folder / 'masks' / '3.png'} has pixels of mode {mode}, but should have numbers of classes" in error.message
    )
    assert "palette" in error.hint


@pytest.mark.parametrize("place", ["images", "masks"])
@pytest.mark.parametrize("damage", ["nonsense", "half", "empty"])
def test_a_damaged_file_is_named(folder, place, damage):
    path = folder / place / "3.png"
    whole = path.read_bytes()
    path.write_bytes({"nonsense": b"no picture", "half": whole[: len(whole) // 2], "empty": b""}[damage])
    assert str(path) in refusal(folder).message
