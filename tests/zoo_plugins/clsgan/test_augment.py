"""Adaptive discriminator augmentation: the transforms, the probability, and its state in checkpoints."""

import json
import math

import pytest
import torch

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_plugins.clsgan.augment import MAX_AUGMENT_P, augment, update_augment_p


def images(count=32, seed=0):
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def augmented(image, p, seed=1):
    torch.manual_seed(seed)
    return augment(image, p)


def test_with_probability_zero_images_stay_as_they_are():
    image = images()
    torch.testing.assert_close(augmented(image, 0.0), image, rtol=0, atol=1e-5)


def test_with_probability_one_every_image_is_transformed_differently():
    image = images(1).expand(32, -1, -1, -1)
    output = augmented(image, 1.0)
    assert output.shape == image.shape
    assert all(not torch.allclose(one, image[0], atol=1e-3) for one in output)
    assert len({float(one.sum()) for one in output}) == 32


def test_augmented_images_stay_in_0_to_1():
    for image in (images(), torch.ones(32, 1, 28, 28)):
        output = augmented(image, 1.0)
        assert 0 <= output.min() <= output.max() <= 1 + 1e-6


def test_the_fraction_of_transformed_images_is_the_probability_and_the_others_are_unchanged():
    image = images(2000)
    change = (augmented(image, 0.3) - image).abs().amax(dim=(1, 2, 3))
    assert 0.25 < float((change > 1e-3).float().mean()) < 0.35
    assert change[change <= 1e-3].max() < 1e-4


def test_the_center_is_shifted_by_a_few_pixels_at_most():
    image = torch.zeros(64, 1, 28, 28)
    image[:, :, 13:15, 13:15] = 1
    output = augmented(image, 1.0)
    rows, columns = output.sum(dim=3), output.sum(dim=2)
    positions = torch.arange(28.0)
    for marginal in (rows, columns):
        center = (marginal * positions).sum(dim=2) / marginal.sum(dim=2)
        assert (center - 13.5).abs().max() < 2.5
        assert (center - 13.5).abs().max() > 0.5


def test_images_that_are_not_square_are_shifted_by_the_same_fraction_of_each_side():
    image = torch.zeros(256, 3, 28, 112)
    image[:, :, 13:15, 54:58] = 1
    output = augmented(image, 1.0)
    turned = math.sin(math.radians(10))  # a shift is along the axes of the rotated image
    for axis, side, other in ((2, 28, 112), (3, 112, 28)):
        marginal = output.sum(dim=(1, 5 - axis))
        center = (marginal * torch.arange(float(side))).sum(dim=1) / marginal.sum(dim=1)
        furthest = float((center - (side - 1) / 2).abs().max()) / side
        assert 1.5 / 28 < furthest < 1.15 * (2 / 28) * (side + turned * other) / side


def test_gradients_flow_to_the_images():
    image = images().requires_grad_()
    weight = images(seed=2)
    (augmented(image, 1.0) * weight).sum().backward()
    assert image.grad.isfinite().all()
    assert (image.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


def test_the_same_seed_gives_the_same_transforms():
    assert torch.equal(augmented(images(), 0.5), augmented(images(), 0.5))
    assert not torch.equal(augmented(images(), 0.5), augmented(images(), 0.5, seed=2))


@pytest.mark.parametrize(
    ("p", "real_loss", "expected"),
    [
        (0.0, 0.1, 0.01),
        (0.0, 0.3, 0.0),
        (0.5, 0.1, 0.51),
        (0.5, 0.3, 0.49),
        (0.5, 0.2, 0.49),
        (MAX_AUGMENT_P, 0.1, MAX_AUGMENT_P),
        (MAX_AUGMENT_P, 0.3, MAX_AUGMENT_P - 0.01),
    ],
)
def test_the_probability_rises_if_the_loss_on_real_images_is_below_the_target_and_falls_otherwise(
    p, real_loss, expected
):
    probability = torch.tensor(p, dtype=torch.float64)
    update_augment_p(probability, torch.tensor(real_loss), target=0.2)
    assert float(probability) == pytest.approx(expected)


def test_the_probability_stays_between_zero_and_its_maximum():
    p = torch.zeros((), dtype=torch.float64)
    for real_loss, limit in ((0.0, MAX_AUGMENT_P), (1.0, 0.0)):
        for _ in range(200):
            update_augment_p(p, torch.tensor(real_loss), target=0.2)
            assert 0 <= p <= MAX_AUGMENT_P
        assert p == limit


OVERRIDES = (
    "dataset.source=subset",
    "run.batch_size=16",
    "run.steps=40",
    "run.preview_every=0",
    "run.log_every=10",
    "run.device=cpu",
    "trainer.eval_classifier=null",
    "trainer.ada_target=10",
)


@pytest.mark.parametrize("stop", [7, 20, 36])
def test_an_augmented_run_that_is_resumed_equals_an_uninterrupted_one(stops_at, uninterrupted, tmp_path, stop):
    zoo.run("clsgan-mnist", *OVERRIDES, folder=tmp_path / "stopped", callbacks=[stops_at(stop)])
    resumed = zoo.run(read_config(tmp_path / "stopped" / "config.yaml"), folder=tmp_path / "stopped", resume=True)
    assert (resumed.step, resumed.trainer.augment_p) == (40, uninterrupted.trainer.augment_p)
    assert resumed.folder.weights.read_bytes() == uninterrupted.folder.weights.read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run whose loss on real images is always below the target, so that the probability rises at each update."""
    return zoo.run("clsgan-mnist", *OVERRIDES, folder=tmp_path_factory.mktemp("augmented") / "run")


def test_the_probability_is_logged_and_rises(uninterrupted):
    assert uninterrupted.trainer.augment_p > 0
    lines = [json.loads(line) for line in uninterrupted.folder.metrics.read_text().splitlines()]
    logged = [round(line["augment_p"], 6) for line in lines]
    assert logged == sorted(logged)
    assert logged[-1] > 0
