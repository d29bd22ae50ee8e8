"""Interpolation between two noise samples, and the count of images."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import zoo_core as zoo


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return zoo.build("clsgan").eval()


def test_interpolation_starts_at_the_images_of_seed_and_ends_at_those_of_target_seed(model) -> None:
    arguments = {"labels": [3, 5], "seed": 7, "target_seed": 8}
    start, end = (model.predict(labels=[3, 5], seed=seed)["image"] for seed in (7, 8))
    assert torch.equal(model.predict(**arguments)["image"], start)
    assert torch.equal(model.predict(**arguments, interpolation=0)["image"], start)
    assert torch.allclose(model.predict(**arguments, interpolation=1)["image"], end, atol=1e-5)
    images = [model.predict(**arguments, interpolation=value)["image"] for value in (0, 0.25, 0.5, 0.75, 1)]
    changes = [float((one - other).abs().mean()) for one, other in pairwise(images)]
    assert 0 < max(changes) < float((start - end).abs().mean())  # no change is as large as the whole distance


def test_interpolated_noise_has_unit_variance(model) -> None:
    stds = [model._interpolated_noise(1, 2, value, 1000).square().mean().sqrt() for value in (0.0, 0.3, 0.5, 1.0)]
    assert all(float(std) == pytest.approx(1, abs=0.02) for std in stds)


def test_labels_are_repeated_in_order_up_to_count(model) -> None:
    assert model.predict(labels=[3, 5], count=5)["label"] == [3, 5, 3, 5, 3]
    assert model.predict(labels=[3, 5])["label"] == [3, 5]
    assert model.predict(labels=7, count=2)["label"] == [7, 7]
    assert len(model.predict()["image"]) == 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interpolation": 0.5}, "interpolation needs target_seed, which is missing"),
        ({"interpolation": 1.5, "target_seed": 1}, "interpolation is 1.5, but should be a number from 0 to 1"),
        ({"interpolation": True, "target_seed": 1}, "interpolation is True"),
        ({"target_seed": -1}, "target_seed is -1"),
        ({"count": 0}, "count is 0"),
    ],
)
def test_invalid_arguments_are_an_error(model, arguments, message) -> None:
    with pytest.raises(zoo.ZooError, match=message):
        model.predict(labels=[3], **arguments)
