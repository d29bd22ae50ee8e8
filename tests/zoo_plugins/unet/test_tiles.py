"""Segmentation of images in tiles, at the scale of the training."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import zoo_core as zoo
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.tiles import _starts, is_tiled, segment, tiled_logits


class Pointwise(nn.Module):
    """Logits (N, 3, H, W) that follow from each pixel alone, and the sizes of the inputs."""

    def __init__(self, **settings):
        super().__init__()
        self.config = UNet.Config(in_channels=1, out_channels=3, head="linear", output="class_logits", **settings)
        self.seen = []

    def forward(self, image):
        self.seen.append(tuple(image.shape))
        return torch.cat([image, 1 - image, 3 * (image - 0.5).abs()], dim=1)


def make(**settings):
    torch.manual_seed(0)
    settings = {"in_channels": 1, "out_channels": 3, "base_channels": 4, "depth": 2, **settings}
    return UNet(UNet.Config(head="linear", output="class_logits", **settings)).eval()


@pytest.mark.parametrize("size", [(32, 48), (33, 49), (100, 48), (32, 131), (97, 150), (500, 48)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_the_bands_are_the_whole_image_whatever_its_size(size, overlap):
    image, network = torch.rand(1, *size), Pointwise()
    bands = list(tiled_logits(network, image, (32, 48), overlap))
    torch.testing.assert_close(torch.cat(bands, dim=1), network(image[None])[0])
    assert {shape[-2:] for shape in network.seen[:-1]} == {(32, 48)}


@pytest.mark.parametrize("length", [11, 20, 25, 99])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.99])
def test_tiles_cover_an_axis_and_overlap_by_a_fraction(length, overlap):
    starts = _starts(length, 10, overlap)
    assert (starts[0], starts[-1]) == (0, length - 10)
    steps = [after - before for before, after in pairwise(starts)]
    assert 0 < min(steps) <= max(steps) <= max(1, round(10 * (1 - overlap)))


def test_the_weight_of_a_tile_falls_from_its_center():
    calls = iter(range(100))
    image = torch.zeros(1, 16, 24)
    (band,) = tiled_logits(lambda tile: torch.full((1, 1, 16, 16), float(next(calls))), image, (16, 16), 0.5)
    row = band[0, 8]
    assert (row[0], row[-1]) == (0, 1)
    assert row.diff().min() >= 0
    assert float(row[11] + row[12]) == pytest.approx(1)  # the middle between both centers


def test_an_image_up_to_the_size_of_a_tile_is_segmented_in_one_piece_and_a_larger_one_in_tiles():
    network = Pointwise(tile=(32, 48))
    assert not is_tiled(network, torch.zeros(1, 32, 48))
    assert is_tiled(network, torch.zeros(1, 33, 48))
    assert not is_tiled(Pointwise(), torch.zeros(1, 3300, 48))
    assert segment(network, torch.rand(1, 20, 48)).shape == (20, 48)
    assert network.seen == [(1, 1, 20, 48)]
    image = torch.rand(1, 70, 80)
    assert torch.equal(segment(network, image), segment(Pointwise(), image))


def test_far_from_its_border_a_tile_is_as_the_whole_image():
    model, image = make(tile=(64, 64)), torch.rand(1, 150, 170)
    whole = segment(make(), image)
    assert (segment(model, image) == whole).float().mean() > 0.98


@pytest.mark.parametrize("image_size", [(40, 60), (40,), (0, 60)])
@pytest.mark.parametrize("size", [(80, 120), (61, 45), (20, 30)])
def test_the_mask_has_the_size_of_the_image_and_the_network_sees_that_of_the_training(image_size, size):
    image = torch.rand(1, *size)
    whole, tiled = (segment(make(image_size=image_size, tile=tile), image) for tile in ((), (24, 24)))
    assert whole.shape == tiled.shape == size
    assert (whole == tiled).float().mean() > 0.8  # tiles of 24 pixels see little


def test_tiles_are_scaled_as_the_whole_image():
    image = torch.rand(1, 90, 70)
    settings = {"image_size": (30, 40), "base_channels": 2, "depth": 1}
    model = make(**settings, tile=(29, 39))  # nearly all of it
    whole = segment(make(**settings), image)
    assert (segment(model, image) == whole).float().mean() > 0.9


def test_sizes_of_one_or_three_numbers_are_refused():
    with pytest.raises(zoo.ZooError, match=r"model.tile is \[64\], but should be \[HEIGHT,WIDTH\]"):
        make(tile=(64,))
    with pytest.raises(zoo.ZooError, match=r"model.image_size is .*, or \[SHORTER_SIDE\]"):
        make(image_size=(1, 2, 3))
