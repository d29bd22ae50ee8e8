"""What the U-Net does with an image before its first layer."""

import pytest
import torch

import zoo_core as zoo
from zoo_core.data.forward_inputs import declared
from zoo_core.tools.export.program import run, trace
from zoo_plugins.unet.fuse import fuse_batch_norm
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.preprocessing import NORMALIZATIONS

FIXED = {"normalization": "fixed", "mean": (0.2, 0.3, 0.4), "std": (0.5, 0.6, 0.7)}


def make(**settings):
    torch.manual_seed(0)
    settings = {"in_channels": 3, "out_channels": 2, "base_channels": 4, "depth": 1, **settings}
    return UNet(UNet.Config(head="linear", output="class_logits", **settings)).eval()


@pytest.mark.parametrize("name", ["image", "percentile"])
def test_brightness_and_contrast_do_not_matter_to_the_network(name):
    image = torch.rand(2, 3, 40, 30)
    model = make(normalization=name)
    torch.testing.assert_close(model(0.5 * image + 0.25), model(image), atol=0.02, rtol=0)
    assert not torch.allclose(make()(0.5 * image + 0.25), make()(image), atol=0.02)


def test_an_image_has_mean_0_and_deviation_1_in_each_channel():
    image = torch.rand(2, 3, 40, 30) * torch.tensor([1, 0.5, 0.1]).view(1, 3, 1, 1)
    result = NORMALIZATIONS["image"](image, (), ())
    torch.testing.assert_close(result.mean(dim=(2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.std(dim=(2, 3), correction=0), torch.ones(2, 3), atol=0.05, rtol=0)


@pytest.mark.parametrize("name", ["image", "percentile"])
@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_a_uniform_image_becomes_zero(name, value):
    result = NORMALIZATIONS[name](torch.full((1, 1, 8, 9), value), (), ())
    assert result.abs().max() < 1e-3


def test_percentiles_ignore_a_few_bright_pixels():
    image = torch.rand(1, 1, 100, 100) / 2
    image[0, 0, 0, :10] = 1
    result = NORMALIZATIONS["percentile"](image, (), ())
    assert result.max() == 1
    assert result.median() == pytest.approx(0.5, abs=0.05)


def test_fixed_statistics_are_part_of_the_network():
    image = torch.rand(1, 3, 16, 16)
    shift, scale = (torch.tensor(FIXED[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    torch.testing.assert_close(make(**FIXED)(image), make()((image - shift) / scale))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalization": "fixed"}, "model.mean has 0 values, but should have 3"),
        (FIXED | {"std": (1.0,)}, "model.std has 1 values, but should have 3"),
        ({"mean": (0.0, 0.0, 0.0)}, "model.mean has 3 values, but should have 0, for model.normalization=none"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(zoo.ZooError, match=message):
        make(**settings)


def test_evaluation_is_at_the_scale_of_the_training_and_gives_the_size_of_the_image():
    image = torch.rand(1, 3, 64, 96)
    model, plain = make(image_size=(32, 48)), make()
    small = torch.nn.functional.interpolate(image, size=(32, 48), mode="bilinear", antialias=True)
    assert model(image).shape[-2:] == (64, 96)
    torch.testing.assert_close(model(small), plain(small))
    expected = torch.nn.functional.interpolate(plain(small), size=(64, 96), mode="bilinear")
    torch.testing.assert_close(model(image), expected)
    assert model.train()(image).shape[-2:] == (64, 96)  # crops of training are not resized
    torch.testing.assert_close(model(image), plain.train()(image))


def test_fused_batch_normalization_keeps_it():
    model, image = make(**FIXED, image_size=(24,)), torch.rand(1, 3, 40, 30)
    torch.testing.assert_close(fuse_batch_norm(model)(image), model(image), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"normalization": "image"}, marks=pytest.mark.long),
        pytest.param({"normalization": "percentile"}, marks=pytest.mark.long),
        {**FIXED, "image_size": (32, 48)},
    ],
)
def test_an_exported_network_includes_it_for_all_sizes(settings):
    model = make(**settings)
    traced = trace(model, declared(model))
    assert traced.dynamic == ("batch", "height", "width"), traced.fixed
    image = torch.rand(3, 3, 50, 70)
    with torch.no_grad():
        torch.testing.assert_close(run(traced.program)({"image": image}), model(image), atol=1e-4, rtol=1e-3)
