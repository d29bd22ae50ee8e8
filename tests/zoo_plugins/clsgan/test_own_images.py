"""`clsgan-images`: a generator of one's own images, of any size and any classes."""

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.cli import _exit_code

SHORT = ("run.steps=3", "run.batch_size=8", "run.device=cpu", "run.preview_every=2", "run.loggers=[jsonl, images]")
UNCONDITIONAL = ("dataset.labels=none", "model.conditional=false", "trainer.same_label_group_size=1")


def fill(folder, names, size=(32, 48, 3), count=8):
    random = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, size, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """Color images of 32 x 48, of three classes."""
    return fill(tmp_path_factory.mktemp("own") / "pets", ("cat", "cow", "dog"))


def train(folder, where, *words):
    return zoo.run("clsgan-images", f"dataset.folder={folder}", *SHORT, *words, folder=where)


def test_color_images_of_three_classes_are_learned_and_generated_by_name(pets, tmp_path):
    run = train(pets, tmp_path / "run")
    model = zoo.load(tmp_path / "run")
    config = model.config
    assert (config.channels, config.height, config.width, config.num_classes) == (3, 32, 48, 3)
    assert config.class_names == ("cat", "cow", "dog")
    assert run.test_metrics.keys() == {
        "pixel_frechet_distance", "pixel_frechet_distance_real", "pixel_frechet_ratio", "total_variation_ratio",
        "intra_class_std_ratio",
    }  # fmt: skip
    with Image.open(next((tmp_path / "run" / "previews").glob("*.png"))) as preview:
        assert preview.width > 96
    assert _exit_code(["predict", str(tmp_path / "run"), "labels=[dog, cat]", "-o", str(tmp_path / "two.png")]) == 0
    assert (tmp_path / "two.png").is_file()


def test_small_gray_images_of_26_classes_are_learned(tmp_path):
    folder = fill(tmp_path / "letters", [chr(97 + index) for index in range(26)], (20, 16), 6)
    train(folder, tmp_path / "run")
    prediction = zoo.load(tmp_path / "run").predict(labels=["z", "a"])
    assert prediction["image"].shape == (2, 1, 20, 16)
    assert prediction["label"] == ["z", "a"]


def test_images_without_labels_are_learned(pets, tmp_path):
    run = train(pets, tmp_path / "run", *UNCONDITIONAL)
    assert "std_ratio" in run.test_metrics
    assert zoo.load(tmp_path / "run").predict(count=2)["image"].shape == (2, 3, 32, 48)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.evaluation=classifier"], r"digit-classifier-mnist accepts no images \(3, 32, 48\)"),
        (["trainer.cas_classifier=digit-classifier"], r"digit-classifier accepts no images \(3, 32, 48\)"),
        (["dataset.labels=none"], "the dataset has no labels"),
        (
            ["dataset.labels=none", "trainer.same_label_group_size=1"],
            "the model is conditional, but the dataset has no",
        ),
        (["model.height=28"], "model.height is 28, but the dataset 'image-folder' provides height = 32"),
    ],
)
def test_what_does_not_fit_the_images_is_refused_before_the_first_step(pets, tmp_path, words, message):
    with pytest.raises(zoo.ZooError, match=message):
        train(pets, tmp_path / "run", *words)


def test_a_classifier_of_the_same_images_measures_them(pets, tmp_path):
    words = ("run.epochs=1", "run.batch_size=8", "run.device=cpu", "model.base_channels=8")
    zoo.run("classify-images", f"dataset.folder={pets}", *words, folder=tmp_path / "classifier")
    words = ("trainer.evaluation=classifier", f"trainer.eval_classifier={tmp_path / 'classifier'}")
    run = train(pets, tmp_path / "run", *words, "dataset.test_fraction=0.3")
    assert run.test_metrics.keys() >= {"accuracy", "intra_class_std_ratio", "frechet_distance", "frechet_ratio"}


def test_evaluations_leave_the_training_as_it_is(pets, tmp_path):
    weights = []
    for number, every in enumerate((0, 1)):
        train(pets, tmp_path / str(number), f"run.evaluate_every={every}")
        weights.append(zoo.load(tmp_path / str(number)).state_dict())
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
