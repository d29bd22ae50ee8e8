"""Examples of images and masks, read from files and resized."""

import numpy as np
import pytest
import torch
from PIL import Image

from zoo_plugins.datasets.mask_classes import MaskClasses
from zoo_plugins.datasets.mask_examples import Pairs, PairsOfSizes, resize
from zoo_plugins.datasets.mask_folder import MaskFolder
from zoo_plugins.datasets.mask_pairs import Pair


@pytest.fixture
def pairs(tmp_path):
    """Two images and masks of different sizes, whose right half is class 1."""
    pairs = []
    for number, (height, width) in enumerate([(20, 30), (40, 24)]):
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[:, width // 2 :] = 1
        files = [tmp_path / f"{number}.png", tmp_path / f"{number}_mask.png"]
        for pixels, file in zip((200 * mask, mask), files, strict=True):
            Image.fromarray(pixels).save(file)
        pairs.append(Pair(files[0], (files[1],)))
    return pairs


def config(**settings):
    return MaskFolder.Config(folder="", color="gray", **settings)


def test_examples_are_resized_with_their_aspect_or_without(pairs):
    reader = MaskClasses(2, (), 255)
    for settings, expected in (
        ({}, [(20, 30), (40, 24)]),
        ({"shorter_side": 10}, [(10, 15), (17, 10)]),
        ({"height": 16}, [(16, 30), (16, 24)]),
        ({"height": 16, "width": 12}, [(16, 12), (16, 12)]),
    ):
        examples = Pairs(pairs, config(**settings), reader)
        assert [tuple(one["mask"].shape) for one in examples] == expected
        for one in examples:
            assert one["image"].shape[1:] == one["mask"].shape
            assert one["mask"].float().mean() == pytest.approx(0.5, abs=0.05)
        assert examples.image(0).shape == (1, 20, 30)


def test_a_batch_of_several_sizes_is_padded_with_ignored_pixels(pairs):
    batch = PairsOfSizes(pairs, config(), MaskClasses(2, (), 255)).__getitems__([0, 1])
    assert batch["size"].tolist() == [[20, 30], [40, 24]]
    assert batch["image"].shape == (2, 1, 40, 30)
    assert (batch["mask"] != 255).sum(dim=(1, 2)).tolist() == [20 * 30, 40 * 24]
    assert batch["image"][batch["mask"].unsqueeze(1) == 255].max() == 0


def test_an_example_of_the_size_asked_for_is_left_as_it_is():
    image, mask = torch.rand(1, 8, 9), torch.zeros(8, 9, dtype=torch.int64)
    example = resize(image, mask, 0, 9)
    assert example["image"] is image
    assert example["mask"] is mask
