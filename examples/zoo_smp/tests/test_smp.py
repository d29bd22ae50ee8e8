"""The plugin passes the conformance checks, knows every encoder, and trains a network on scenes of digits."""

import pytest
import segmentation_models_pytorch as smp
import torch
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


def test_a_file_of_the_library_becomes_weights(tmp_path):
    from zoo_core.cli import _exit_code

    published = smp.create_model("unet", "mit_b0", encoder_weights=None, classes=3).eval()
    save_file(published.state_dict(), tmp_path / "plain.safetensors")
    command = ["weights", "convert", str(tmp_path / "plain.safetensors"), "--model", "smp/unet-mit_b0"]
    assert _exit_code([*command, "out_channels=3", "-o", str(tmp_path / "converted.safetensors")]) == 0
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(zoo.load(tmp_path / "converted.safetensors").network(images), published(images))


@pytest.mark.long
def test_a_short_training_learns(tmp_path):
    run = zoo.run("smp-digit-scenes", *SMALL, "run.device=cpu", "run.steps=150", folder=tmp_path / "run")
    assert run.test_metrics["mean_iou"] > 0.15
    assert zoo.load(run.path).member == "unet-mobilenet_v2"


@pytest.mark.long
def test_every_network_is_built_from_its_name():
    for name in names():
        with torch.device("meta"):
            model = zoo.build(f"smp/{name}", {"out_channels": 3})
        assert all(parameter.is_meta for parameter in model.parameters()), name
    assert len(names()) > 700
