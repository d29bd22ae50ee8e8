"""The plugin passes the conformance checks, knows every encoder, and trains a network on scenes of digits."""

import subprocess
import sys

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from safetensors.torch import save_file
from zoo_smp.names import ARCHITECTURES, encoders, names

import zoo_core as zoo
from zoo_core.testing import conformance

SMALL = ["dataset.source=subset", "dataset.test_scenes=8", "dataset.validation_scenes=2", "run.batch_size=4"]
test_conforms = conformance("smp-digit-scenes", SMALL)
test_a_network_conforms = conformance("smp/unet-mobilenet_v2")


def test_the_names_are_those_of_the_library():
    assert encoders() == sorted(smp.encoders.encoders)
    assert list(ARCHITECTURES) == list(smp.MODEL_ARCHITECTURES_MAPPING)
    assert {f"smp/{name}" for name in names()} < set(zoo.list("models", "smp/*"))


def test_a_network_computes_what_the_library_computes():
    torch.manual_seed(0)
    ours = zoo.build("smp/fpn-resnet18", {"out_channels": 3}).eval()
    torch.manual_seed(0)
    theirs = smp.create_model("fpn", "resnet18", encoder_weights=None, classes=3).eval()
    images = torch.rand(2, 3, 64, 96)
    assert torch.equal(ours(images), theirs(images))


def test_images_of_any_size_are_padded():
    assert zoo.build("smp/unet-resnet18", {"in_channels": 1}).eval()(torch.rand(1, 1, 50, 70)).shape == (1, 2, 50, 70)


def test_an_encoder_of_timm_is_a_setting():
    model = zoo.build("smp/unet", {"encoder": "tu-test_resnet"})
    assert model.config.architecture == "unet"
    with pytest.raises(zoo.ZooError, match="'pan' can't be built on the encoder 'vgg11'"):
        zoo.build("smp/pan", {"encoder": "vgg11"})


@pytest.fixture
def converted(tmp_path):
    """A network of the library with three classes, and the weights file that `zoo weights convert` makes of it."""
    torch.manual_seed(1)
    published = smp.create_model("unet", "mobilenet_v2", encoder_weights=None, in_channels=1, classes=3).eval()
    plain, path = tmp_path / "plain.safetensors", tmp_path / "converted.safetensors"
    save_file(published.state_dict(), plain)
    command = ["weights", "convert", str(plain), "--model", "smp/unet-mobilenet_v2", "in_channels=1", "out_channels=3"]
    start = [sys.executable, "-m", "zoo_core"]
    subprocess.run([*start, *command, "-o", str(path)], check=True)  # noqa: S603  # zoo itself
    return published, path


def test_a_file_of_the_library_becomes_weights(converted):
    published, path = converted
    images = torch.rand(2, 1, 64, 64)
    assert torch.equal(zoo.load(path).network(images), published(images))


def test_a_file_of_the_library_is_fine_tuned_with_other_classes_and_a_frozen_encoder(converted, tmp_path):
    published, path = converted
    start = [f"run.init_from={path}", "run.init_strict=false", 'run.freeze=["network.encoder"]']
    with pytest.warns(UserWarning, match="others keep their initial values: other shapes"):
        run = zoo.run("smp-digit-scenes", *SMALL, *start, "run.device=cpu", "run.steps=2", folder=tmp_path / "run")
    tuned, before = zoo.load(run.path).network.state_dict(), published.state_dict()
    encoder = [name for name in before if name.startswith("encoder.")]
    assert len(encoder) > 100
    assert all(torch.equal(tuned[name], before[name]) for name in encoder)
    head = "segmentation_head.0.weight"
    assert (before[head].shape[0], tuned[head].shape[0]) == (3, 11)


def test_zoo_fit_starts_from_a_file_of_the_library(converted, tmp_path):
    masks = np.zeros((6, 64, 64), np.uint8)
    masks[:, 20:40, 10:50] = 255
    for part, scale in (("images", 2), ("masks", 1)):
        (tmp_path / "cells" / part).mkdir(parents=True)
        for number, mask in enumerate(masks):
            Image.fromarray(mask // scale).save(tmp_path / "cells" / part / f"{number}.png")
    start = [f"run.init_from={converted[1]}", "run.init_strict=false", "run.steps=2", "--device", "cpu"]
    command = ["fit", str(tmp_path / "cells"), "model.name=smp/unet-mobilenet_v2", *start, "--folder", "run"]
    subprocess.run([sys.executable, "-m", "zoo_core", *command], check=True, cwd=tmp_path)  # noqa: S603  # zoo itself
    config = zoo.load(tmp_path / "run").config
    assert (config.in_channels, config.out_channels) == (1, 2)
    assert config.class_names == ("background", "foreground")


def test_images_are_normalized_as_those_of_imagenet():
    torch.manual_seed(1)
    plain = zoo.build("smp/unet-resnet18").eval()
    normalized = zoo.build("smp/unet-resnet18", {"normalization": "imagenet"}).eval()
    normalized.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 32, 32)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.equal(normalized(images), plain((images - mean) / std))
    with pytest.raises(zoo.ZooError, match=r"model\.in_channels is 1"):
        zoo.build("smp/unet-resnet18", {"normalization": "imagenet", "in_channels": 1})


@pytest.mark.long
def test_a_short_training_learns(tmp_path):
    run = zoo.run("smp-digit-scenes", *SMALL, "run.device=cpu", "run.steps=150", folder=tmp_path / "run")
    digits = [value for name, value in run.test_metrics.items() if name.startswith("iou/") and name[4:].isdigit()]
    assert len(digits) == 10
    assert max(digits) > 0.01  # it is 0 for a network that has learned only what the background is
    assert run.train_metrics["loss"] < 0.3
    assert zoo.load(run.path).member == "unet-mobilenet_v2"


@pytest.mark.long
def test_every_network_is_built_from_its_name():
    for name in names():
        with torch.device("meta"):
            model = zoo.build(f"smp/{name}", {"out_channels": 3})
        assert all(parameter.is_meta for parameter in model.parameters()), name
    assert len(names()) > 700
