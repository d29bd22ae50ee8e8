"""Class folders of images, as people and the usual tools make them; digits where something is learned."""

import os
import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.cli import _exit_code
from zoo_plugins.datasets.decoding import ImageFiles
from zoo_plugins.datasets.image_folder import ImageFolder

SPLITS = ("train", "validation", "test")


def make(folder, **settings):
    return ImageFolder(ImageFolder.Config(folder=str(folder), **settings))


def draw(path, size=(8, 10), channels=1):
    """An image of random pixels, which no other has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(list(bytes(path))).integers(0, 256, (*size, channels), dtype=np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)


def fill(folder, *classes, count=10, **how):
    for name in classes:
        for number in range(count):
            draw(folder / name / f"{number}.png", **how)
    return folder


@pytest.fixture
def folder(tmp_path):
    """Ten images each of three classes."""
    return fill(tmp_path / "images", "10", "2", "1")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """300 digits as PNG, a folder for each class."""
    folder = tmp_path_factory.mktemp("digits")
    batch = zoo.build("mnist", {"source": "subset"}, kind="dataset").train().__getitems__(range(300))
    for number, (image, label) in enumerate(zip(batch["image"], batch["label"].tolist(), strict=True)):
        (folder / str(label)).mkdir(exist_ok=True)
        Image.fromarray(image[0].mul(255).round().byte().numpy()).save(folder / str(label) / f"{number}.png")
    return folder


def splits(data):
    return {name: getattr(data, name)() for name in SPLITS}


def labels(examples):
    return sorted(int(examples[index]["label"]) for index in range(len(examples)))


def paths(data):
    return {name: {sample.path for sample in samples} for name, samples in data._read.splits.items()}


def notes(data):
    """What a dataset says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.train()
    return " ".join(str(one.message) for one in caught)


def error_of(folder, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(zoo.ZooError) as error:
            make(folder, **settings).train()
    assert error.value.hint
    return error.value


# -- classes and splits --------------------------------------------------------


def test_classes_are_numbered_in_the_natural_order_of_their_folders(folder):
    data = make(folder)
    provided = data.provides()
    assert provided["class_names"] == ["1", "2", "10"]
    assert provided["num_classes"] == 3
    assert provided["class_counts"] == [8, 8, 8]
    assert (provided["in_channels"], provided["height"], provided["width"]) == (1, 8, 10)
    for samples in data._read.splits.values():
        for path, label in samples:
            assert path.parent.name == provided["class_names"][label]


def test_names_that_look_like_endings_are_compared_as_a_whole(tmp_path):
    assert make(fill(tmp_path, "v1.10", "v1.2")).provides()["class_names"] == ["v1.2", "v1.10"]


def test_images_in_folders_below_a_class_are_of_this_class(folder):
    draw(folder / "2" / "more" / "deep" / "a.png")
    draw(folder / "2" / "folder.png" / "a.png")
    found = [sample for part in make(folder)._read.splits.values() for sample in part]
    assert [sample.label for sample in found if sample.path.name == "a.png"] == [1, 1]


def test_each_class_is_divided_by_the_fractions_and_the_seed(folder):
    assert {name: labels(part) for name, part in splits(make(folder)).items()} == {
        "train": [0] * 8 + [1] * 8 + [2] * 8, "validation": [0, 1, 2], "test": [0, 1, 2],
    }  # fmt: skip
    large = splits(make(folder, validation_fraction=0.3, test_fraction=0.2))
    assert [len(part) for part in large.values()] == [15, 9, 6]
    assert paths(make(folder)) == paths(make(folder))
    assert paths(make(folder)) != paths(make(folder, split_seed=1))
    assert len(set.union(*paths(make(folder)).values())) == 30


def test_the_first_examples_of_a_split_are_of_several_classes(folder):
    test = make(folder, test_fraction=0.5).test()
    assert len({int(test[index]["label"]) for index in range(6)}) > 1


def test_rare_classes_are_for_training_and_are_named(folder):
    fill(folder, "rare", count=1)
    fill(folder, "two", count=2)
    data = make(folder)
    said = notes(data)
    assert "the validation split has no images of rare, two" in said
    assert "the test split has no images of rare" in said
    assert data.provides()["class_counts"] == [8, 8, 8, 1, 1]


def test_uneven_classes_are_said(folder):
    fill(folder, "common", count=100)
    assert "from 8 (1) to 80 (common) training images; `trainer.class_weights=balanced`" in notes(make(folder))


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Validation", "TESTING")])
def test_given_splits_are_used(tmp_path, names):
    for name in names:
        fill(tmp_path / name, "cat", "dog")
    data = make(tmp_path)
    assert notes(data) == ""
    for name, found in zip(names, paths(data).values(), strict=True):
        assert found == set((tmp_path / name).glob("*/*.png"))


@pytest.mark.parametrize(("given", "taken"), [("test", "validation"), ("valid", "test")])
def test_a_split_that_is_not_given_is_taken_from_the_training_images(tmp_path, given, taken):
    for name in ("train", given):
        fill(tmp_path / name, "cat", "dog")
    data = make(tmp_path)
    assert f"the folder has no {taken} split, which is taken from the training images" in notes(data)
    assert {path.parts[-3] for path in paths(data)[taken]} == {"train"}
    assert labels(splits(data)[taken]) == [0, 1]


def test_a_class_that_a_given_split_lacks_is_said(tmp_path):
    for name in ("train", "val", "test"):
        fill(tmp_path / name, "cat", "dog", *["bird"] * (name != "val"))
    data = make(tmp_path)
    assert "the validation split has no images of bird" in notes(data)
    assert labels(data.validation()) == [1] * 10 + [2] * 10


def test_a_class_without_training_images_is_refused(tmp_path):
    fill(tmp_path / "train", "Cat", "dog")
    fill(tmp_path / "test", "Cat", "dog", "bird")
    assert "of the class bird, of which" in error_of(tmp_path).message
    (tmp_path / "test" / "bird").rename(tmp_path / "test" / "cat")
    assert error_of(tmp_path).hint == "Rename cat to Cat, as in the split train."


def test_a_class_may_be_called_as_a_split(tmp_path):
    assert make(fill(tmp_path, "car", "plane", "train")).provides()["class_names"] == ["car", "plane", "train"]


# -- copies ------------------------------------------------------------------


def test_copies_of_an_image_are_in_one_split(folder):
    for number in range(10):
        shutil.copy(folder / "1" / f"{number}.png", folder / "1" / f"copy-{number}.png")
    for found in paths(make(folder)).values():
        copied = {path.name.removeprefix("copy-") for path in found if path.parent.name == "1"}
        assert len([path for path in found if path.parent.name == "1"]) == 2 * len(copied)


def test_an_image_in_two_given_splits_or_two_classes_is_said(tmp_path):
    for name in ("train", "val", "test"):
        fill(tmp_path / name, "cat", "dog")
    shutil.copy(tmp_path / "train" / "cat" / "1.png", tmp_path / "test" / "dog" / "copy.png")
    said = notes(make(tmp_path))
    both = f"{tmp_path / 'test' / 'dog' / 'copy.png'} and {tmp_path / 'train' / 'cat' / '1.png'} are the same"
    for words in ("splits", "classes"):
        assert f"1 image is in several {words}: {both}" in said


# -- what is left out, and what is refused -------------------------------------


def test_everything_that_is_left_out_is_said(folder):
    for name in ("Thumbs.db", "1/Thumbs.db", "labels.csv", ".DS_Store", "2/.hidden.png", "2/x.jp2"):
        (folder / name).write_bytes(b"x")
    (folder / "__MACOSX").mkdir()
    (folder / "empty").mkdir()
    draw(folder / "stray.png")
    said = notes(make(folder))
    assert said == (
        "image-folder: left out: 1 file ending in .csv, 2 files ending in .db, 1 file ending in .jp2, "
        "1 image beside the class folders (stray.png), 1 folder without images (empty), 3 hidden files."
    )


def test_a_link_to_a_folder_above_is_not_followed(folder):
    (folder / "1" / "up").symlink_to(folder)
    data = make(folder)
    assert "left out: 1 sub-folder" in notes(data)
    assert sum(map(len, splits(data).values())) == 30


def fill_splits(folder, *names):
    for name in names:
        fill(folder / name, "cat", "dog")


REFUSED = {
    "missing": (lambda folder: None, "does not exist", "FOLDER/cat/1.png"),
    "file": (lambda folder: folder.write_bytes(b"PK"), "is a file", "Unpack it"),
    "empty": (lambda folder: folder.mkdir(), "contains no folders with images", "FOLDER/cat/1.png"),
    "flat": (lambda folder: draw(folder / "cat1.png"), "contains 1 image, but no class folders", "FOLDER/cat/1.png"),
    "single": (lambda folder: fill(folder, "cat"), "contains one class folder, cat", "FOLDER/cat/1.png"),
    "deeper": (lambda folder: fill(folder / "set", "cat", "dog"), "one class folder, set", "dataset.folder="),
    "deeper splits": (lambda folder: fill(folder / "set", "test", "train"), "one class folder, set", "dataset.folder="),
    "no train": (lambda folder: fill(folder / "test", "cat", "dog"), "no folder `train`", "`train`"),
    "two of a split": (lambda folder: fill_splits(folder, "train", "val", "valid"), "two folders for", "Move"),
    "no classes": (lambda folder: fill(folder, "test", "train"), "test contains images, but no class folders", "cat"),
    "more": (lambda folder: (fill(folder / "train", "a", "b"), fill(folder, "new")), "and also new", "Move new"),
    "splits below": (lambda folder: [fill(folder / one, "train", "val") for one in "ab"], "above the classes", "Move"),
    "few": (lambda folder: fill(folder, "cat", "dog", count=2), "too few images for the validation split", "Add"),
    "interpolation": (lambda folder: fill(folder, "${cat}", "dog"), "a name that a recipe cannot contain", "Rename"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unclear_layout_is_refused_with_a_cure(tmp_path, name):
    write, message, hint = REFUSED[name]
    write(tmp_path / "images")
    error = error_of(tmp_path / "images")
    assert message in error.message
    assert hint in error.hint


def test_a_class_whose_images_are_of_a_format_that_is_not_read_is_refused(folder):
    (folder / "bird").mkdir()
    Image.new("RGB", (10, 8)).save(folder / "bird" / "1.avif")
    error = error_of(folder)
    assert f"{folder / 'bird'} contains no image that can be read, but 1 file ending in .avif" in error.message
    assert error.hint == "Convert the files ending in .avif to PNG."


def test_a_class_whose_images_are_all_in_another_class_and_not_for_training_is_refused(tmp_path):
    fill(tmp_path, "cat", "dog")
    test = next(path for path in paths(make(tmp_path))["test"] if path.parent.name == "dog")
    (tmp_path / "wolf").mkdir()
    shutil.copy(test, tmp_path / "wolf")
    assert error_of(tmp_path).message == (
        "all images of the class wolf are also in another class, so that none is left to train on."
    )


@pytest.mark.parametrize("damage", ["nonsense", "half", "empty", "pipe", "link", "avif", "frames"])
def test_a_damaged_file_of_any_split_is_refused_and_named(folder, damage):
    for number in range(10):
        path = folder / "2" / f"{number}.png"
        whole = path.read_bytes()
        path.unlink()
        if damage in ("pipe", "link"):
            {"pipe": os.mkfifo, "link": lambda path: path.symlink_to("nowhere")}[damage](path)
        elif damage == "avif":
            Image.new("L", (10, 8)).save(path, format="AVIF")
        elif damage == "frames":
            Image.new("L", (10, 8)).save(path, save_all=True, append_images=[Image.new("L", (10, 8), 9)])
        else:
            path.write_bytes({"nonsense": b"not an image", "half": whole[: len(whole) // 2], "empty": b""}[damage])
        assert str(path) in error_of(folder).message
        path.unlink()
        path.write_bytes(whole)


# -- images ------------------------------------------------------------------


def test_images_of_different_sizes_are_refused_unless_they_are_resized(folder):
    draw(folder / "2" / "3.png", size=(20, 30))
    error = error_of(folder)
    assert f"{folder / '2' / '3.png'} is 20 x 30, but {folder / '1' / '0.png'} is 8 x 10" in error.message
    assert "dataset.height=128 dataset.width=128" in error.hint
    assert make(folder, height=6, width=6).train()[0]["image"].shape == (1, 6, 6)


def test_a_height_without_a_width_is_refused(folder):
    with pytest.raises(zoo.BadSetting, match=r"dataset\.height is 4 and dataset\.width is 0") as error:
        make(folder, height=4).train()
    assert "dataset.height=4 dataset.width=4" in error.value.hint


@pytest.mark.parametrize(("color", "channels"), [("auto", 3), ("rgb", 3), ("gray", 1)])
def test_colors_are_those_of_the_images_or_as_asked(folder, color, channels):
    draw(folder / "2" / "3.png", channels=3)
    data = make(folder, color=color)
    assert "29 of 30 images are gray" in notes(data)
    assert data.provides()["in_channels"] == channels
    assert data.train()[0]["image"].shape == (channels, 8, 10)


def test_transparent_pixels_are_black_and_said(folder):
    Image.new("RGBA", (10, 8), (255, 255, 255, 0)).save(folder / "2" / "3.png")
    assert "transparent pixels of 1 images are blended with black (3.png)" in notes(make(folder))


def test_images_of_16_bits_keep_their_values(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(5):
            pixels = np.random.default_rng([number, ord(name)]).integers(0, 4096, (8, 8), dtype=np.uint16)
            pixels[0, 0] = 4000
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    assert "dataset.max_value=4095" in error_of(tmp_path).hint
    data = make(tmp_path, max_value=4095)
    assert data.provides()["max_value"] == 4095
    (path, _), image = data._read.splits["train"][0], data.train()[0]["image"]
    with Image.open(path) as file:
        expected = torch.from_numpy(np.asarray(file).astype(np.float32) / 4095)
    torch.testing.assert_close(image[0], expected)


def test_arrays_are_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(5):
            values = np.random.default_rng([number, ord(name)]).random((8, 8, 3), dtype=np.float32)
            np.save(tmp_path / name / f"{number}.npy", values)
    data = make(tmp_path)
    path, _ = data._read.splits["test"][0]
    torch.testing.assert_close(data.test()[0]["image"], torch.from_numpy(np.load(path)).permute(2, 0, 1))


@pytest.mark.parametrize("settings", [{}, {"height": 20, "width": 16}, {"height": 9, "width": 30, "resize": "squash"}])
def test_images_in_memory_and_those_read_on_access_are_the_same(digits, settings):
    kept, read = splits(make(digits, **settings)), splits(make(digits, cache_mb=0, **settings))
    for name in SPLITS:
        assert isinstance(kept[name], zoo.InMemory)
        assert isinstance(read[name], ImageFiles)
        assert len(kept[name]) == len(read[name])
        for index in range(0, len(kept[name]), 7):
            for key in ("image", "label"):
                assert torch.equal(kept[name][index][key], read[name][index][key])
                assert kept[name][index][key].dtype == read[name][index][key].dtype


def test_images_that_need_more_than_the_limit_are_read_on_access(folder):
    for name in ("1", "2"):
        for number in range(10, 16):
            draw(folder / name / f"{number}.png")
    needed = 42 * 100 * 300  # bytes
    assert isinstance(make(folder, height=100, width=300, cache_mb=needed // 2**20 + 1).train(), zoo.InMemory)
    assert isinstance(make(folder, height=100, width=300, cache_mb=needed // 2**20).train(), ImageFiles)


def test_the_fingerprint_depends_on_settings_and_files_but_not_on_the_folder(folder):
    one = make(folder).fingerprint()
    moved = folder.rename(folder.with_name("moved"))
    assert make(moved).fingerprint() == one
    assert make(moved, cache_mb=0).fingerprint() == one
    assert make(moved, height=4, width=4).fingerprint() != one
    for path in (moved / "2").iterdir():
        path.rename(moved / "1" / f"was-2-{path.name}")
        break
    assert make(moved).fingerprint() != one


# -- the recipe ----------------------------------------------------------------


def run(folder, digits, *overrides, **options):
    given = (f"dataset.folder={digits}", "run.steps=6", "run.batch_size=16", "run.device=cpu", "run.preview_every=3")
    return zoo.run("classify-images", *given, *overrides, folder=folder, **options)


def test_its_recipe_trains_and_names_the_class_of_a_file(digits, tmp_path):
    done = run(tmp_path / "run", digits)
    assert done.test_metrics.keys() >= {"accuracy", "loss", "accuracy/0", "accuracy/9"}
    assert (tmp_path / "run" / "previews" / "step-000003-images.png").is_file()
    assert (tmp_path / "run" / "previews" / "step-000003-predictions.csv").read_text().startswith("class,predicted,")
    model = zoo.load(tmp_path / "run")
    predicted = model.predict(next((digits / "7").iterdir()))
    assert predicted["label"][0] in map(str, range(10))
    assert model.config.class_names == tuple(map(str, range(10)))


def test_a_resumed_run_equals_an_uninterrupted_one_also_if_files_are_read_on_access(digits, tmp_path, stops_at):
    run(tmp_path / "whole", digits)
    run(tmp_path / "stopped", digits, "dataset.cache_mb=0", callbacks=[stops_at(3)])
    run(tmp_path / "stopped", digits, "dataset.cache_mb=0", resume=True)
    weights = [zoo.load(tmp_path / name).state_dict() for name in ("whole", "stopped")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.long
def test_the_recipe_passes_the_conformance_checks(digits):
    assert _exit_code(["check", "classify-images", f"dataset.folder={digits}", "run.batch_size=8"]) == 0


@pytest.mark.long
def test_the_recipe_classifies_97_of_100_digits_that_were_kept_apart(tmp_path):
    source = zoo.build("mnist", {"source": "subset"}, kind="dataset")
    for split in (source.train(), source.test()):
        pixels, labels = split._tensors["image"].pixels[:, 0].numpy(), split.tensors["label"].tolist()
        for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            path = tmp_path / ("kept" if split is source.test() else "given") / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    zoo.run("classify-images", f"dataset.folder={tmp_path / 'given'}", "run.device=cpu", folder=tmp_path / "run")
    model = zoo.load(tmp_path / "run")
    kept = sorted((tmp_path / "kept").glob("*/*.png"))
    assert len(kept) == 1000
    assert sum(model.predict(path)["label"] == [path.parent.name] for path in kept) >= 970


# -- formats, channels and the value of white ----------------------------------


@pytest.mark.parametrize("ending", [".tif", ".webp", ".ppm", ".bmp", ".npy"])
def test_images_of_every_format_are_the_same_examples(folder, ending):
    before = make(folder, color="rgb").train()
    expected = {int(before[n]["label"]): before[n]["image"] for n in range(len(before))}
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            pixels = image.convert("RGB")
        path.unlink()
        if ending == ".npy":
            np.save(path.with_suffix(ending), np.asarray(pixels))
        else:
            pixels.save(path.with_suffix(ending), **({"lossless": True} if ending == ".webp" else {}))
    data = make(folder, color="rgb")
    everything = [data.train(), data.validation(), data.test()]
    found = [part[n]["image"] for part in everything for n in range(len(part))]
    assert len(found) == 30
    assert all(any(torch.equal(image, one) for one in found) for image in expected.values())


def test_images_of_8_bits_with_few_values_need_the_value_of_white(folder):
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            pixels = np.asarray(image) % 16
        Image.fromarray(pixels).save(path)
    error = error_of(folder)
    assert "the values of all images of 8 bits end at 15" in error.message
    assert "dataset.max_value=15" in error.hint
    data = make(folder, max_value=15)
    assert data.train()[0]["image"].max() == 1
    assert data.provides()["max_value"] == 15


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_images_of_any_number_of_channels(folder, channels):
    for path in folder.rglob("*.png"):
        path.unlink()
        random = np.random.default_rng(list(bytes(path)))
        np.save(path.with_suffix(".npy"), random.integers(0, 256, (8, 10, channels), dtype=np.uint8))
    assert f"`dataset.channels={channels}`" in error_of(folder).hint
    data = make(folder, channels=channels)
    assert data.train()[0]["image"].shape == (channels, 8, 10)
    assert data.provides()["in_channels"] == channels
    assert "but dataset.channels is 9" in error_of(folder, channels=9).message


def test_the_fingerprint_is_that_of_before_if_the_channels_are_not_set(folder):
    settings = {"color": "auto", "max_value": None, "height": 0, "width": 0, "resize": "crop"}
    settings |= {"validation_fraction": 0.1, "test_fraction": 0.1, "split_seed": 0}
    files = [sample.path for split in make(folder)._read.splits.values() for sample in split]
    assert make(folder).fingerprint() == zoo.fingerprint_files(files, settings, folder=folder)
    assert make(folder, channels=1).fingerprint() != make(folder).fingerprint()
