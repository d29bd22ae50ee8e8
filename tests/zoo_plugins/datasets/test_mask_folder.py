"""Folders of images and masks, made from digit scenes in the file formats that users have."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import zoo_core as zoo
from zoo_plugins.datasets.mask_folder import MaskFolder


def make(folder, **settings):
    return MaskFolder(MaskFolder.Config(**{"folder": str(folder), "num_classes": 11, "color": "gray", **settings}))


@pytest.fixture(scope="module")
def scenes():
    """Ten images and masks (N, 32, 40) uint8."""
    batch = (
        zoo.build("digit-scenes", {"source": "subset", "height": 32, "width": 40}, kind="dataset")
        .test()
        .__getitems__(range(10))
    )
    return batch["image"][:, 0].mul(255).round().byte().numpy(), batch["mask"].byte().numpy()


def save_palette(mask, path):
    image = Image.fromarray(mask)
    image.putpalette([value for number in range(256) for value in (number, 255 - number, 7)])
    assert image.mode == "P"
    image.save(path)


@pytest.fixture
def folder(tmp_path, scenes):
    """Ten pairs: images as PNG, masks alternately as palette and grayscale PNG."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number, (image, mask) in enumerate(zip(*scenes, strict=True)):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
        path = tmp_path / "masks" / f"{number}.png"
        save_palette(mask, path) if number % 2 else Image.fromarray(mask).save(path)
    return tmp_path


def splits(data):
    return data.train(), data.validation(), data.test()


def by_name(data):
    """The pairs of all splits by their names."""
    return {split.pairs[number].image.stem: split[number] for split in splits(data) for number in range(len(split))}


def collated(examples):
    return {name: torch.stack([one[name] for one in examples]) for name in ("image", "mask")}


# -- pairs -------------------------------------------------------------------


def test_palette_and_grayscale_masks_contain_class_indices(folder, scenes):
    images, masks = scenes
    pairs = by_name(make(folder))
    assert len(pairs) == 10
    for number in range(10):
        pair = pairs[str(number)]
        assert (pair["image"].dtype, pair["mask"].dtype) == (torch.float32, torch.int64)
        torch.testing.assert_close(pair["image"], torch.from_numpy(images[number]).unsqueeze(0) / 255)
        assert np.array_equal(pair["mask"].numpy(), masks[number])


def test_a_mask_of_two_classes_may_be_black_and_white(folder, scenes):
    for number, mask in enumerate(scenes[1]):
        Image.fromarray(mask > 0).save(folder / "masks" / f"{number}.png")
    with Image.open(folder / "masks" / "0.png") as file:
        assert file.mode == "1"
    pairs = by_name(make(folder, num_classes=2))
    for number, mask in enumerate(scenes[1]):
        assert np.array_equal(pairs[str(number)]["mask"].numpy(), mask > 0)


def test_images_are_paired_with_masks_by_name_for_any_suffix(folder, scenes):
    for number in range(0, 10, 2):
        (folder / "images" / f"{number}.png").unlink()
        Image.fromarray(scenes[0][number]).save(folder / "images" / f"{number}.JPG", quality=95)
    (folder / "masks" / "._3.png").write_bytes(b"\0")
    (folder / "masks" / ".hidden.png").write_bytes(b"\0")
    pairs = by_name(make(folder, color="rgb"))
    for number in range(10):
        assert pairs[str(number)]["image"].shape == (3, 32, 40)
        assert np.array_equal(pairs[str(number)]["mask"].numpy(), scenes[1][number])


@pytest.mark.filterwarnings("ignore:mask-folder. no mask contains class 3, and the value")
@pytest.mark.parametrize("ignore_index", [255, 77, 0])
def test_the_ignore_index_of_the_files_becomes_255(folder, scenes, ignore_index):
    for number, mask in enumerate(scenes[1]):
        changed = mask.copy()
        changed[:5] = ignore_index
        Image.fromarray(changed).save(folder / "masks" / f"{number}.png")
    for pair in by_name(make(folder, ignore_index=ignore_index)).values():
        assert (pair["mask"][:5] == 255).all()
        assert not (pair["mask"] == ignore_index).any() or ignore_index == 255


def test_the_exif_orientation_of_an_image_is_applied(folder, scenes):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees clockwise
    for number, image in enumerate(scenes[0]):
        rotated = Image.fromarray(image).transpose(Image.Transpose.ROTATE_90)
        (folder / "images" / f"{number}.png").unlink()
        rotated.save(folder / "images" / f"{number}.jpg", exif=exif, quality=100)
    for name, pair in by_name(make(folder)).items():
        assert pair["image"].shape == (1, 32, 40)
        assert np.array_equal(pair["mask"].numpy(), scenes[1][int(name)])
        upright = torch.from_numpy(scenes[0][int(name)]).unsqueeze(0) / 255
        torch.testing.assert_close(pair["image"], upright, rtol=0, atol=0.05)


# -- classes that are found in the files ----------------------------------------


def save_masks(folder, masks, change):
    for number, mask in enumerate(masks):
        Image.fromarray(change(mask)).save(folder / "masks" / f"{number}.png")


@pytest.mark.filterwarnings("ignore:mask-folder")
@pytest.mark.parametrize("coding", ["index", "sparse", "color"])
def test_the_number_of_classes_is_found_in_the_masks(folder, scenes, coding):
    colors = np.random.default_rng(0).integers(0, 256, (11, 3), dtype=np.uint8)
    colors = colors[np.lexsort(colors.T[::-1])]
    masks = [np.minimum(mask, 2) for mask in scenes[1]]
    change = {"index": lambda mask: mask, "sparse": lambda mask: mask * 90, "color": lambda mask: colors[mask]}[coding]
    save_masks(folder, masks, change)
    data = make(folder, num_classes=None)
    assert data.provides() == {"num_classes": 3, "in_channels": 1}
    for name, pair in by_name(data).items():
        assert np.array_equal(pair["mask"].numpy(), masks[int(name)])
    pixels = np.concatenate([masks[int(pair.image.stem)].ravel() for pair in data.train().pairs])
    assert data.class_counts() == np.bincount(pixels, minlength=3).tolist()


def test_black_and_white_masks_have_two_classes_with_names(folder, scenes):
    save_masks(folder, scenes[1], lambda mask: (mask > 0).astype(np.uint8) * 255)
    data = make(folder, num_classes=None)
    with pytest.warns(UserWarning, match="0 is class 0, background, and 255 is class 1, foreground"):
        provided = data.provides()
    assert provided == {"num_classes": 2, "class_names": ("background", "foreground"), "in_channels": 1}
    for name, pair in by_name(data).items():
        assert np.array_equal(pair["mask"].numpy(), scenes[1][int(name)] > 0)


def test_names_come_from_a_file_unless_the_number_of_classes_is_given(folder, scenes):
    save_masks(folder, scenes[1], lambda mask: (mask > 0).astype(np.uint8))
    (folder / "classes.txt").write_text("paper\nink\n")
    with pytest.warns(UserWarning, match=r"classes\.txt names 2 classes"):
        assert make(folder, num_classes=None).provides()["class_names"] == ("paper", "ink")
    assert "class_names" not in make(folder, num_classes=2).provides()
    assert make(folder, num_classes=2, classes="classes.txt").provides()["class_names"] == ("paper", "ink")
    assert "class_names" not in make(folder, num_classes=None, classes=None).provides()


def test_classes_that_no_training_image_has_are_said(folder, scenes):
    save_masks(folder, scenes[1], lambda mask: (mask > 0).astype(np.uint8) * 3)
    (folder / "masks" / "0.png").unlink()
    Image.fromarray(np.full((32, 40), 1, np.uint8)).save(folder / "masks" / "0.png")
    with pytest.warns(UserWarning, match="mask-folder: class 2 occurs in no training image"):
        make(folder, num_classes=None).train()
    make(folder, num_classes=4).train()


def test_objects_that_are_numbered_are_one_class(folder, scenes):
    def numbered(mask):
        objects = np.zeros(mask.shape, np.uint16)
        objects[mask > 0] = 1 + np.arange((mask > 0).sum()) % (10 + 3 * int(mask.sum() % 7))
        return objects

    save_masks(folder, scenes[1], numbered)
    assert "dataset.instances=semantic" in error_of(folder, num_classes=None).hint
    data = make(folder, num_classes=None, instances="semantic")
    with pytest.warns(UserWarning, match="every value but 0 is an object"):
        assert data.provides()["num_classes"] == 2
    for name, pair in by_name(data).items():
        assert np.array_equal(pair["mask"].numpy(), scenes[1][int(name)] > 0)


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_several_masks_of_one_object_each_are_merged(tmp_path, scenes):
    for number, (image, mask) in enumerate(zip(*scenes, strict=True)):
        for part in ("images", "masks"):
            (tmp_path / str(number) / part).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / str(number) / "images" / f"{number}.png")
        for one in np.unique(mask):
            Image.fromarray((mask == one) * (one > 0)).save(tmp_path / str(number) / "masks" / f"object{one}.png")
    for name, pair in by_name(make(tmp_path, num_classes=None)).items():
        assert np.array_equal(pair["mask"].numpy(), scenes[1][int(name)] > 0)


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_a_recipe_takes_the_classes_of_the_masks(folder, scenes):
    save_masks(folder, scenes[1], lambda mask: (mask > 0).astype(np.uint8) * 255)
    run = zoo.run(
        "unet-masks", f"dataset.folder={folder}", "dataset.height=32", "dataset.width=32", "model.base_channels=4",
        "model.depth=2", "run.epochs=1", "run.batch_size=4", "run.workers=0", "run.device=cpu",
        "run.precision=float32", "run.preview_every=0", folder=folder / "run",
    )  # fmt: skip
    assert run.test_metrics.keys() >= {"mean_iou", "iou/background", "iou/foreground"}


# -- resizing ----------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(16, 20), (64, 80), (33, 17), (0, 20), (16, 0)])
def test_resizing_adds_no_class_indices(folder, scenes, height, width):
    resized = by_name(make(folder, height=height, width=width))
    for name, pair in resized.items():
        mask = scenes[1][int(name)]
        size = (height or 32, width or 40)
        assert pair["image"].shape == (1, *size)
        assert pair["mask"].shape == size
        assert set(pair["mask"].unique().tolist()) <= set(np.unique(mask))
        assert float((pair["mask"] > 0).float().mean()) == pytest.approx((mask > 0).mean(), abs=0.02)
        assert 0 <= pair["image"].min() <= pair["image"].max() <= 1


def test_doubling_the_size_repeats_each_pixel_of_the_mask_four_times(folder, scenes):
    for name, pair in by_name(make(folder, height=64, width=80)).items():
        assert np.array_equal(pair["mask"].numpy(), np.kron(scenes[1][int(name)], np.ones((2, 2), np.uint8)))


# -- the split ---------------------------------------------------------------


UNSEEN = "ignore:mask-folder. class .* occurs in no training image"


@pytest.mark.filterwarnings(UNSEEN)
def test_the_split_depends_on_its_seed_and_fractions(folder):
    def names(**settings):
        return [[pair.image.stem for pair in split.pairs] for split in splits(make(folder, **settings))]

    assert list(map(len, names())) == [8, 1, 1]
    assert list(map(len, names(validation_fraction=0.3, test_fraction=0.2))) == [5, 3, 2]
    assert sorted(name for split in names() for name in split) == [str(number) for number in range(10)]
    assert names() == names()
    assert names() != names(split_seed=1)


@pytest.mark.filterwarnings(UNSEEN)
@pytest.mark.parametrize(("validation_fraction", "test_fraction"), [(0.01, 0.01), (0.5, 0.5), (0.9, 0.9), (0.1, 0.99)])
def test_every_split_has_a_pair_for_any_fractions(folder, validation_fraction, test_fraction):
    data = make(folder, validation_fraction=validation_fraction, test_fraction=test_fraction)
    lengths = [len(split) for split in splits(data)]
    assert min(lengths) >= 1
    assert sum(lengths) == 10


def test_splits_that_are_given_are_used_and_the_others_are_split_off_the_training_images(folder):
    for split, numbers in (("train", range(7)), ("val", range(7, 10))):
        for part in ("images", "masks"):
            (folder / part / split).mkdir()
            for number in numbers:
                (folder / part / f"{number}.png").rename(folder / part / split / f"{number}.png")
    data = make(folder)
    with pytest.warns(UserWarning, match="1 of 7 training examples are for test, which no split is given for"):
        train, validation, test = ([int(pair.image.stem) for pair in split.pairs] for split in splits(data))
    assert validation == [7, 8, 9]
    assert sorted(train + test) == list(range(7))
    assert len(test) == 1
    before = data.fingerprint()
    for part in ("images", "masks"):
        (folder / part / "val" / "7.png").rename(folder / part / "train" / "7.png")
    with pytest.warns(UserWarning, match="1 of 8 training"):
        assert make(folder).fingerprint() != before


# -- reading -----------------------------------------------------------------


def test_files_are_read_on_access(folder, scenes):
    train = make(folder).train()
    image, (mask,) = train.pairs[0].image, train.pairs[0].masks
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


def test_the_fingerprint_depends_on_settings_and_files_but_not_on_the_folder(folder, tmp_path_factory, scenes):
    one = make(folder).fingerprint()
    moved = folder.rename(tmp_path_factory.mktemp("moved") / "pairs")
    assert make(moved).fingerprint() == one
    assert make(moved, height=16, width=16).fingerprint() != one
    assert len(one) == 64
    for path in sorted(moved.glob("*/*.png")):
        with Image.open(path) as image:
            pixels, palette = np.array(image), image.getpalette()
        before = path.read_bytes()
        pixels[3, 4] = pixels[3, 4] ^ 1
        changed = Image.fromarray(pixels)
        if palette:
            changed.putpalette(palette)
        changed.save(path)
        assert make(moved).fingerprint() != one, path
        path.write_bytes(before)
        assert make(moved).fingerprint() == one, path
    Image.fromarray(np.zeros((32, 40), np.uint8)).save(moved / "masks" / "3.png")
    assert make(moved).fingerprint() != one


def test_its_recipe_trains_on_it(folder):
    run = zoo.run(
        "unet-masks", f"dataset.folder={folder}", "dataset.num_classes=11", "dataset.height=32", "dataset.width=32",
        "model.out_channels=11", "model.base_channels=4", "model.depth=2", "run.epochs=1", "run.batch_size=4",
        "run.workers=2", "run.device=cpu", "run.precision=float32", "run.preview_every=2", folder=folder / "run",
    )  # fmt: skip
    assert run.step == 2
    assert run.test_metrics.keys() >= {"mean_iou", "mean_dice", "pixel_accuracy", "iou/0"}
    assert (folder / "run" / "previews" / "step-000002.png").is_file()


# -- errors ----------------------------------------------------------------


def error_of(folder, **settings):
    with pytest.raises(zoo.ZooError) as error:
        by_name(make(folder, **settings))
    return error.value


@pytest.mark.parametrize("name", ["images", "masks"])
def test_a_missing_folder_is_an_error_that_names_it(folder, name):
    (folder / name).rename(folder / "elsewhere")
    assert str(folder / name) in error_of(folder).message
    assert "Put images into `images`" in error_of(folder).hint


def test_an_image_without_a_mask_is_an_error_that_names_it(folder):
    (folder / "masks" / "3.png").unlink()
    error = error_of(folder)
    assert error.message == f"{folder / 'images' / '3.png'} has no mask in {folder / 'masks'}."
    assert "same name" in error.hint
    (folder / "masks" / "5.png").unlink()
    assert "and 1 more have none" in error_of(folder).message


def test_a_mask_without_an_image_is_an_error_that_names_it(folder):
    (folder / "images" / "3.png").unlink()
    assert error_of(folder).message == f"{folder / 'masks' / '3.png'} has no image in {folder / 'images'}."


def test_two_images_of_one_name_are_an_error_that_names_them(folder, scenes):
    Image.fromarray(scenes[0][3]).save(folder / "images" / "3.jpg")
    message = error_of(folder).message
    assert "3.jpg" in message
    assert "3.png" in message


def test_fewer_than_three_pairs_are_an_error(folder):
    for number in range(2, 10):
        for name in ("images", "masks"):
            (folder / name / f"{number}.png").unlink()
    assert "contains 2 pairs of image and mask, but at least 3 are needed" in error_of(folder).message


def test_a_mask_of_another_size_than_its_image_is_an_error_that_names_both_sizes(folder, scenes):
    Image.fromarray(scenes[1][3].T.copy()).save(folder / "masks" / "3.png")
    for settings in ({}, {"height": 16, "width": 16}):
        message = error_of(folder, **settings).message
        assert f"{folder / 'images' / '3.png'} is 32 x 40" in message
        assert f"its mask {folder / 'masks' / '3.png'} is 40 x 32" in message


def test_images_of_different_sizes_are_an_error_unless_they_are_resized(folder, scenes):
    Image.fromarray(scenes[0][3][:20].copy()).save(folder / "images" / "3.png")
    Image.fromarray(scenes[1][3][:20].copy()).save(folder / "masks" / "3.png")
    assert {pair["mask"].shape for pair in by_name(make(folder, height=16)).values()} == {(16, 40)}
    error = error_of(folder, width=16)
    assert "3.png is 20 x 40, but 0.png is 32 x 40" in error.message
    assert "dataset.height=128 dataset.width=128" in error.hint
    assert {pair["mask"].shape for pair in by_name(make(folder, height=16, width=24)).values()} == {(16, 24)}


def grow(folder, number, factor):
    """Make an image and its mask larger by a whole factor."""
    for name in ("images", "masks"):
        path = folder / name / f"{number}.png"
        with Image.open(path) as image:
            larger = np.asarray(image).repeat(factor, 0).repeat(factor, 1)
        Image.fromarray(larger).save(path)


@pytest.mark.filterwarnings("ignore:mask-folder")
def test_images_of_several_sizes_are_trained_on_in_crops_and_evaluated_at_their_own_sizes(folder, scenes):
    for number in range(10):
        grow(folder, number, 1 + number % 3)
    data = make(folder, crop_height=48, crop_width=64, validation_fraction=0.4, test_fraction=0.3)
    assert {tuple(example["mask"].shape) for example in data.train()} == {(48, 64)}
    examples = data.validation()
    batch = examples.__getitems__([0, 1, 2, 3])
    sizes = [tuple(example["mask"].shape) for example in examples]
    assert len({*sizes}) > 1
    assert list(map(tuple, batch["size"].tolist())) == sizes
    assert batch["mask"].shape[1:] == tuple(map(max, zip(*sizes, strict=True)))
    for number, (height, width) in enumerate(sizes):
        assert torch.equal(batch["image"][number, :, :height, :width], examples[number]["image"])
        assert torch.equal(batch["mask"][number, :height, :width], examples[number]["mask"])
        assert (batch["mask"][number] != 255).sum() == height * width


def test_images_of_one_size_have_no_padding(folder):
    data = make(folder, crop_height=16, crop_width=16)
    assert not hasattr(data.validation(), "__getitems__")


def test_the_shorter_side_is_scaled_and_the_aspect_kept(folder, scenes):
    grow(folder, 3, 3)
    data = make(folder, shorter_side=16)
    assert {tuple(example["mask"].shape) for split in splits(data) for example in split} == {(16, 20)}
    assert data.provides()["image_size"] == (16,)
    message = error_of(folder, shorter_side=16, height=16).message
    assert "dataset.shorter_side keeps the aspect of images, but dataset.height or dataset.width is set" in message


def test_models_learn_the_size_of_the_images_in_training(folder):
    assert "image_size" not in make(folder).provides()
    assert make(folder, height=24).provides()["image_size"] == (24, 0)
    assert make(folder, height=24, width=16).provides()["image_size"] == (24, 16)


def test_an_unknown_class_index_is_an_error_that_names_the_mask(folder, scenes):
    changed = scenes[1][3].copy()
    changed[:2, :4] = [[11, 12, 13, 254], [99, 98, 97, 96]]
    save_palette(changed, folder / "masks" / "3.png")
    error = error_of(folder)
    assert f"{folder / 'masks' / '3.png'} contains 11, 12, 13, 96, 97," in error.message
    assert "but class indices are 0 to 10, and 255 is ignored" in error.message
    assert "dataset.num_classes" in error.hint


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_mask_with_color_channels_is_an_error(folder, scenes, mode):
    Image.fromarray(scenes[1][3]).convert(mode).save(folder / "masks" / "3.png")
    error = error_of(folder)
    assert (
        f"{folder / 'masks' / '3.png'} is an image of mode {mode}, but its pixels should be class indices"
        in error.message
    )
    assert "palette" in error.hint


@pytest.mark.parametrize("place", ["images", "masks"])
@pytest.mark.parametrize("damage", ["nonsense", "half", "empty", "pipe", "link", "folder"])
def test_a_damaged_file_of_any_split_is_an_error_before_the_first_example_is_read(folder, place, damage):
    for number in range(10):
        path = folder / place / f"{number}.png"
        whole = path.read_bytes()
        path.unlink()
        if damage in ("pipe", "link", "folder"):
            {"pipe": os.mkfifo, "link": lambda path: path.symlink_to("nowhere"), "folder": Path.mkdir}[damage](path)
        else:
            path.write_bytes({"nonsense": b"not an image", "half": whole[: len(whole) // 2], "empty": b""}[damage])
        with pytest.raises(zoo.ZooError) as error:
            make(folder).train()
        assert str(path) in error.value.message
        path.rmdir() if damage == "folder" else path.unlink()
        path.write_bytes(whole)


# -- files that could be misread ---------------------------------------------


def test_masks_of_0_and_255_are_refused_until_255_is_said_to_be_a_class(folder, scenes):
    for number, mask in enumerate(scenes[1]):
        Image.fromarray((mask > 0).astype(np.uint8) * 255).save(folder / "masks" / f"{number}.png")
    with pytest.raises(zoo.BadFile, match="the masks contain only class 0 and ignored pixels") as error:
        make(folder, num_classes=2).train()
    assert "`dataset.class_values=[0,255]`" in error.value.hint
    for name, pair in by_name(make(folder, num_classes=2, class_values=(0, 255))).items():
        assert np.array_equal(pair["mask"].numpy(), scenes[1][int(name)] > 0)


def test_palettes_of_other_colors_are_refused(folder, scenes):
    image = Image.fromarray(scenes[1][4])
    image.putpalette([value for number in range(256) for value in (255 - number, number, 7)])
    image.save(folder / "masks" / "4.png")
    with pytest.raises(zoo.BadFile, match=r"the palettes of .* differ: index 0 is"):
        make(folder).train()


def test_files_that_are_left_out_are_counted_by_their_endings_in_one_line(folder, scenes):
    for part, ending in (("images", ".jp2"), ("images", ".JP2"), ("images", ".avif"), ("masks", ".jxl"), ("masks", "")):
        name = f"{'x' * (ending == '.JP2')}new{ending}"
        Image.fromarray(scenes[0][0]).save(folder / part / name, format="PNG")
    (folder / "images" / "train").mkdir()
    (folder / "images" / ".DS_Store").write_bytes(b"0")
    with pytest.warns(UserWarning, match="mask-folder") as warned:
        make(folder).train()
    assert [str(one.message) for one in warned] == [
        "mask-folder: left out of images: 1 file ending in .avif, 2 files ending in .jp2, 1 sub-folder; "
        "left out of masks: 1 file without an ending, 1 file ending in .jxl."
    ]


@pytest.mark.parametrize("ending", [".jp2", ".avif"])
def test_files_that_are_left_out_are_named_where_they_are_missing(folder, ending):
    for part in ("images", "masks"):
        for path in sorted((folder / part).iterdir()):
            path.rename(path.with_suffix(ending))
    error = error_of(folder)
    assert f"left out of images: 10 files ending in {ending}" in error.message
    assert error.hint == f"Convert the files ending in {ending} to PNG."
    for path in sorted((folder / "masks").iterdir()):
        path.rename(path.with_suffix(".png"))
    error = error_of(folder)
    assert f"contains masks in `masks`, but {folder / 'images'} is missing, or contains no files" in error.message
    assert f"(left out of images: 10 files ending in {ending})" in error.message


@pytest.mark.parametrize("name", ["3.PNG.png", "3_mask.png", "Three.png"])
def test_names_that_differ_are_both_named(folder, name):
    (folder / "masks" / "3.png").rename(folder / "masks" / name)
    message = error_of(folder).message
    assert f"{folder / 'images' / '3.png'} has no mask" in message
    assert f"{folder / 'masks' / name} has no image" in message


def test_accents_may_be_composed_or_decomposed(folder):
    (folder / "images" / "3.png").rename(folder / "images" / "\u00e9.png")
    (folder / "masks" / "3.png").rename(folder / "masks" / "e\u0301.png")
    assert len(by_name(make(folder))) == 10


def test_conversions_of_some_images_are_counted(folder, scenes):
    Image.fromarray(scenes[0][3]).convert("RGB").convert("CMYK").save(folder / "images" / "3.jpg")
    (folder / "images" / "3.png").unlink()
    clear = Image.fromarray(scenes[0][4]).convert("RGBA")
    clear.putalpha(100)
    clear.save(folder / "images" / "4.png")
    with pytest.warns(UserWarning, match="mask-folder") as warned:
        make(folder).train()
    assert [str(one.message) for one in warned] == [
        "mask-folder: 8 of 10 images are gray and the others have colors; all are read as gray; transparent pixels of "
        "1 images are blended with black (4.png); 1 CMYK images are converted without their color profile (3.jpg)."
    ]


def test_an_animation_among_the_images_is_an_error(folder, scenes):
    first, *others = map(Image.fromarray, scenes[0][:4])
    (folder / "images" / "3.png").unlink()
    first.save(folder / "images" / "3.gif", save_all=True, append_images=others)
    assert "3.gif holds 4 frames, but should be one image" in error_of(folder).message


def test_images_of_16_bits_that_hold_fewer_need_the_value_of_white(folder, scenes):
    for number, image in enumerate(scenes[0]):
        Image.fromarray(image.astype(np.uint16) * 16).save(folder / "images" / f"{number}.png")
    error = error_of(folder)
    assert "the values of all images of 16 bits end at 4080" in error.message
    assert "dataset.max_value=4095" in error.hint
    for name, pair in by_name(make(folder, max_value=4080)).items():
        torch.testing.assert_close(pair["image"][0], torch.from_numpy(scenes[0][int(name)]) / 255)


@pytest.mark.parametrize("factor", [40, 60])
def test_images_of_14_bits_need_the_value_of_white(folder, scenes, factor):
    for number, image in enumerate(scenes[0]):
        Image.fromarray(image.astype(np.uint16) * factor).save(folder / "images" / f"{number}.png")
    error = error_of(folder)
    assert f"the values of all images of 16 bits end at {255 * factor}" in error.message
    assert "dataset.max_value=16383" in error.hint


def test_images_of_12_bits_beside_one_of_16_bits_are_refused_with_a_file_of_each(folder, scenes):
    for number, image in enumerate(scenes[0]):
        Image.fromarray(image.astype(np.uint16) * (257 if number == 4 else 16)).save(folder / f"images/{number}.png")
    error = error_of(folder)
    assert "the images of 16 bits have different depths: the values of" in error.message
    assert ".png end at 40" in error.message
    assert "4.png at 65535" in error.message
    assert "dataset.max_value=65535" in error.hint
    make(folder, max_value=65535).train()


def oriented(folder, number, orientation, kind="images"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = folder / kind / f"{number}.png"
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif)


def square(folder, scenes):
    for number, (image, mask) in enumerate(zip(*scenes, strict=True)):
        Image.fromarray(image[:, :32]).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask[:, :32]).save(folder / "masks" / f"{number}.png")


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_square_image_that_is_turned_without_its_mask_is_refused(folder, scenes, orientation, kind):
    square(folder, scenes)
    oriented(folder, 3, orientation, kind)
    error = error_of(folder)
    assert f"{kind}/3.png has the EXIF orientation {orientation}" in error.message
    assert "Save both upright" in error.hint


def test_an_image_and_a_mask_that_are_turned_alike_or_fit_by_their_size_are_used(folder, scenes):
    oriented(folder, 3, 3)
    oriented(folder, 3, 3, "masks")
    make(folder).train()
    Image.fromarray(np.rot90(scenes[0][4]).copy()).save(folder / "images" / "4.png")  # stored lying, its mask upright
    oriented(folder, 4, 6)
    make(folder).train()


def test_images_of_a_format_that_is_not_read_are_to_be_converted(folder):
    for number in range(10):
        with Image.open(folder / "images" / f"{number}.png") as image:
            image.save(folder / "images" / f"{number}.avif")
        if number > 6:
            (folder / "images" / f"{number}.png").unlink()
    assert error_of(folder).hint == "Convert the files ending in .avif to PNG."


def test_the_cure_for_a_damaged_mask_is_one_for_masks(folder):
    (folder / "masks" / "3.png").write_bytes(b"no image")
    assert error_of(folder).hint == "Save it as a PNG with a palette (mode P) or in grayscale (mode L)."
