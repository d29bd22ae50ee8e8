"""Images of any size, brought to one size."""

import pytest
import torch

import zoo_core as zoo
from zoo_plugins.common.fit_image import fit_image, to_bytes


def bars(height, width):
    """Columns from dark to bright, of 8 bits."""
    return torch.linspace(0, 255, width).round().div(255).expand(3, height, width).contiguous()


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("size", [(8, 8), (30, 10), (5, 77), (200, 100), (1, 1)])
def test_every_image_gets_the_size(size, resize):
    assert fit_image(torch.rand(1, *size), 12, 9, resize).shape == (1, 12, 9)


def test_crop_keeps_the_aspect_and_the_center_and_squash_keeps_all():
    wide = bars(20, 60)
    cropped, squashed = fit_image(wide, 10, 10, "crop"), fit_image(wide, 10, 10, "squash")
    assert cropped[0, 0, 0] == pytest.approx(1 / 3, abs=0.03)
    assert cropped[0, 0, -1] == pytest.approx(2 / 3, abs=0.03)
    assert squashed[0, 0, 0] < 0.08
    assert squashed[0, 0, -1] > 0.92


@pytest.mark.parametrize("size", [(0, 0), (16, 16)])
def test_images_of_8_bits_stay_those_that_bytes_hold(size):
    image = fit_image(bars(20, 60), *size, "crop")
    assert torch.equal(zoo.Uint8Images(to_bytes(image)[None])[0], image)


def test_an_image_with_more_bits_is_not_rounded_and_without_a_size_unchanged():
    image = torch.rand(1, 9, 9) * 0.9
    assert torch.equal(fit_image(image, 0, 0, "crop"), image)
    resized = fit_image(image, 5, 5, "crop") * 255
    assert not torch.allclose(resized, resized.round(), atol=0.01)
