"""The plugin passes the conformance checks, knows every model of timm, and trains one."""

import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import save_file
from zoo_timm.names import names

import zoo_core as zoo
from zoo_core.testing import conformance

SMALL = ["model.name=timm/test_resnet", "model.num_classes=10", "dataset.source=subset"]
test_conforms = conformance("timm-mnist", SMALL)
test_a_model_conforms = conformance("timm/test_resnet")


def test_the_names_are_those_of_timm():
    assert names() == sorted(timm.list_models())
    assert zoo.list("models", "timm/*") == [f"timm/{name}" for name in names()]


def test_a_model_computes_what_timm_computes():
    torch.manual_seed(0)
    ours = zoo.build("timm/test_resnet", {"num_classes": 7, "normalize": False}).eval()
    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", num_classes=7).eval()
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(ours(images), theirs(images))


def test_images_are_normalized_as_timm_states():
    model = zoo.build("timm/test_resnet").eval()
    mean, deviation = (torch.tensor(model.network.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    images = torch.rand(2, 3, 64, 64)
    assert torch.allclose(model(images), model.network((images - mean) / deviation), atol=1e-5)
    gray = images[:, :1]
    assert torch.equal(model(gray), model(gray.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("timm/test_vit", {"image_size": 32, "num_classes": 5}, (3, 32, 32)),
        ("timm/test_convnext", {"in_chans": 1, "num_classes": 5}, (1, 32, 32)),
        ("timm/test_efficientnet", {"in_chans": 4, "num_classes": 5}, (4, 32, 32)),
    ],
)
def test_models_are_built_for_the_number_of_channels_and_the_size(name, settings, shape):
    assert zoo.build(name, settings).eval()(torch.rand(2, *shape)).shape == (2, 5)


def test_a_size_for_a_model_that_takes_any_is_refused():
    with pytest.raises(zoo.ZooError, match="'timm/test_resnet' takes images of any size"):
        zoo.build("timm/test_resnet", {"image_size": 32})


@pytest.fixture
def converted(tmp_path):
    """Published weights of timm, and the weights file that `zoo weights convert` makes of them."""
    torch.manual_seed(1)
    published = timm.create_model("test_resnet").eval()
    plain, path = tmp_path / "plain.safetensors", tmp_path / "converted.safetensors"
    save_file(published.state_dict(), plain)
    command = ["weights", "convert", str(plain), "--model", "timm/test_resnet", "-o", str(path)]
    subprocess.run([sys.executable, "-m", "zoo_core", *command], check=True)  # noqa: S603  # zoo itself
    return published, path


def test_a_file_of_timm_becomes_weights(converted):
    published, path = converted
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(zoo.load(path).network(images), published(images))


def test_a_file_of_timm_is_fine_tuned_with_other_classes_and_frozen_stages(converted, tmp_path):
    published, path = converted
    start = [f"run.init_from={path}", "run.init_strict=false", 'run.freeze=["network.conv1", "network.layer[1-3]"]']
    with pytest.warns(UserWarning, match="others keep their initial values: other shapes"):
        run = zoo.run("timm-mnist", *SMALL, *start, "run.device=cpu", "run.steps=3", folder=tmp_path / "run")
    tuned = zoo.load(run.path).network.state_dict()
    before = published.state_dict()
    frozen = [name for name in before if name.startswith(("conv1.", "layer1.", "layer2.", "layer3."))]
    assert len(frozen) > 10
    assert all(torch.equal(tuned[name], before[name]) for name in frozen)
    assert not torch.equal(tuned["layer4.0.conv1.weight"], before["layer4.0.conv1.weight"])
    assert tuned["fc.weight"].shape == (10, before["fc.weight"].shape[1])


def test_a_short_training_learns(tmp_path):
    run = zoo.run("timm-mnist", *SMALL, "run.device=cpu", "run.epochs=2", folder=tmp_path / "run")
    assert run.test_metrics["accuracy"] > 0.5
    assert zoo.load(run.path).member == "test_resnet"


@pytest.mark.long
def test_every_model_of_timm_is_built_from_its_name():
    listed = zoo.list("models", "timm/*")
    for name in listed:
        with torch.device("meta"):
            model = zoo.build(name, {"num_classes": 10})
        assert all(parameter.is_meta for parameter in model.parameters()), name
    assert len(listed) == len(timm.list_models()) > 1000
