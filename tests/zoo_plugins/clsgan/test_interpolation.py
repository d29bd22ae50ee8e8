"""Digits on the way from one noise to another, and counts of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import zoo_core as zoo


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return zoo.build("clsgan").eval()


def test_a_walk_leads_from_the_one_seeds_pictures_to_the_others(model) -> None:
    ask = {"labels": [3, 5], "seed": 7, "target_seed": 8}
    ends = [model.predict(labels=[3, 5], seed=seed)["image"] for seed in (7, 8)]
    assert torch.equal(model.predict(**ask)["image"], ends[0])
    assert torch.equal(model.predict(**ask, interpolation=0)["image"], ends[0])
    assert torch.allclose(model.predict(**ask, interpolation=1)["image"], ends[1], atol=1e-5)
    course = [model.predict(**ask, interpolation=walk)["image"] for walk in (0, 0.25, 0.5, 0.75, 1)]
    steps = [float((one - other).abs().mean()) for one, other in pairwise(course)]
    whole = float((ends[0] - ends[1]).abs().mean())
    assert 0 < max(steps) < whole  # it goes step by step


def test_noise_on_the_way_is_as_long_as_noise(model) -> None:
    lengths = [model._between(1, 2, walk, 1000).square().mean().sqrt() for walk in (0.0, 0.3, 0.5, 1.0)]
    assert all(float(length) == pytest.approx(1, abs=0.02) for length in lengths)


def test_a_count_is_of_the_labels_in_turn(model) -> None:
    assert model.predict(labels=[3, 5], count=5)["label"] == [3, 5, 3, 5, 3]
    assert model.predict(labels=[3, 5])["label"] == [3, 5]
    assert model.predict(labels=7, count=2)["label"] == [7, 7]
    assert len(model.predict()["image"]) == 80


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"interpolation": 0.5}, "target_seed is missing"),
        ({"interpolation": 1.5, "target_seed": 1}, "walk is 1.5, but should lie in 0..1"),
        ({"interpolation": True, "target_seed": 1}, "walk is True"),
        ({"target_seed": -1}, "target_seed is -1"),
        ({"count": 0}, "count is 0"),
    ],
)
def test_a_walk_to_nowhere_is_refused(model, named, said) -> None:
    with pytest.raises(zoo.ZooError, match=said):
        model.predict(labels=[3], **named)
