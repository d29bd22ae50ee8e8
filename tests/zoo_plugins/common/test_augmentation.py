"""Random transforms of images and masks."""

from typing import get_type_hints

import pytest
import torch

from zoo_plugins.common.augmentation import PRESETS, Preset, RandomTransform
from zoo_plugins.common.clip_transforms import ClipPreset
from zoo_plugins.datasets.frame_folder import FrameFolder
from zoo_plugins.datasets.mask_folder import MaskFolder


def striped(height=70, width=90, channels=3):
    """An image whose brightness says which class a pixel has: 0, 1 and, in one corner, 2."""
    mask = torch.zeros(height, width, dtype=torch.int64)
    mask[:, width // 2 :] = 1
    mask[:4, :4] = 2
    return (mask / 2).expand(channels, -1, -1).clone(), mask


@pytest.mark.parametrize(("dataset", "presets"), [(MaskFolder, Preset), (FrameFolder, ClipPreset)])
def test_the_setting_of_a_dataset_writes_out_the_presets(dataset, presets):
    assert get_type_hints(dataset.Config)["augmentation"] == presets


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_preset_keeps_the_size_the_type_and_the_range(preset, channels):
    transform = RandomTransform(preset, 48, 64, 255)
    torch.manual_seed(0)
    for _ in range(10):
        image, mask = transform(*striped(channels=channels))
        assert (image.shape, mask.shape) == ((channels, 48, 64), (48, 64))
        assert (type(image), type(mask), mask.dtype) == (torch.Tensor, torch.Tensor, torch.int64)
        assert 0 <= image.min() <= image.max() <= 1
        assert {*mask.unique().tolist()} <= {0, 1, 2, 255}


@pytest.mark.parametrize("preset", ["none", "flips"])
def test_image_and_mask_are_transformed_alike(preset):
    transform = RandomTransform(preset, 32, 32, 255)
    for seed in range(20):
        torch.manual_seed(seed)
        image, mask = transform(*striped())
        assert torch.equal(image[0], mask / 2)


@pytest.mark.parametrize(("preset", "expected"), [("photo", False), ("upright", False), ("microscopy", True)])
def test_only_images_without_an_upper_side_are_turned_upside_down(preset, expected):
    transform = RandomTransform(preset, 0, 0, 255)
    mask = torch.zeros(64, 64, dtype=torch.int64)
    mask[:32] = 1
    turned = []
    for seed in range(40):
        torch.manual_seed(seed)
        found = transform(mask[None] * 1.0, mask)[1]
        turned.append(bool((found[40:] == 1).sum() > (found[:24] == 1).sum()))
    assert any(turned) is expected


def test_rotated_pixels_from_outside_are_ignored():
    transform = RandomTransform("microscopy", 0, 0, 255)
    torch.manual_seed(3)
    masks = [transform(*striped(64, 64))[1] for _ in range(10)]
    assert any((mask == 255).any() for mask in masks)


def test_a_third_of_the_crops_are_about_a_class_that_is_drawn_first():
    transform = RandomTransform("none", 16, 16, 255)
    torch.manual_seed(0)
    with_corner = sum(bool((transform(*striped(200, 200))[1] == 2).any()) for _ in range(300))
    assert 15 < with_corner < 60  # a third, of which a third draw this class; without it one or two


def test_an_image_that_is_smaller_than_the_crop_is_padded_with_ignored_pixels():
    image, mask = RandomTransform("none", 100, 120, 255)(*striped())
    assert (image.shape, mask.shape) == ((3, 100, 120), (100, 120))
    assert (mask != 255).sum() == 70 * 90
    assert torch.equal(image[0][mask != 255], mask[mask != 255] / 2)


def test_the_same_seed_gives_the_same_transform():
    transform = RandomTransform("microscopy", 32, 32, 255)
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(transform(*striped()))
    assert all(map(torch.equal, *found))
