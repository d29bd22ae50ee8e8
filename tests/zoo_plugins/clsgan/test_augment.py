"""Pictures moved a little before the discriminator sees them."""

import json

import pytest
import torch

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_plugins.clsgan.augment import MOST, augment, update_augment_p


def pictures(count=32, seed=0):
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def drawn(image, share, seed=1):
    torch.manual_seed(seed)
    return augment(image, share)


def test_a_share_of_nothing_gives_the_very_tensor_and_draws_nothing():
    image = pictures()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert augment(image, 0.0) is image
    assert torch.equal(torch.get_rng_state(), before)


def test_a_share_of_one_moves_every_picture_and_each_differently():
    image = pictures(1).expand(32, -1, -1, -1)
    seen = drawn(image, 1.0)
    assert seen.shape == image.shape
    assert all(not torch.allclose(one, image[0], atol=1e-3) for one in seen)
    assert len({float(one.sum()) for one in seen}) == 32


def test_pictures_stay_in_their_range():
    for image in (pictures(), torch.ones(32, 1, 28, 28)):
        seen = drawn(image, 1.0)
        assert 0 <= seen.min() <= seen.max() <= 1 + 1e-6


def test_about_the_share_is_moved_and_the_others_stay_what_they_are():
    image = pictures(2000)
    seen = drawn(image, 0.3)
    change = (seen - image).abs().amax(dim=(1, 2, 3))
    assert 0.25 < float((change > 1e-3).float().mean()) < 0.35
    assert change[change <= 1e-3].max() < 1e-4


def test_what_is_in_the_middle_is_moved_by_a_few_pixels_at_most():
    image = torch.zeros(64, 1, 28, 28)
    image[:, :, 13:15, 13:15] = 1
    seen = drawn(image, 1.0)
    rows, columns = seen.sum(dim=3), seen.sum(dim=2)
    places = torch.arange(28.0)
    for marginal in (rows, columns):
        center = (marginal * places).sum(dim=2) / marginal.sum(dim=2)
        assert (center - 13.5).abs().max() < 2.5
        assert (center - 13.5).abs().max() > 0.5


def test_gradients_flow_to_the_pictures():
    image = pictures().requires_grad_()
    weight = pictures(seed=2)
    (drawn(image, 1.0) * weight).sum().backward()
    assert image.grad.isfinite().all()
    assert (image.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


def test_the_same_seed_moves_alike():
    assert torch.equal(drawn(pictures(), 0.5), drawn(pictures(), 0.5))
    assert not torch.equal(drawn(pictures(), 0.5), drawn(pictures(), 0.5, seed=2))


@pytest.mark.parametrize(
    ("share", "real_loss", "expected"),
    [
        (0.0, 0.1, 0.01),
        (0.0, 0.3, 0.0),
        (0.5, 0.1, 0.51),
        (0.5, 0.3, 0.49),
        (0.5, 0.2, 0.49),
        (MOST, 0.1, MOST),
        (MOST, 0.3, MOST - 0.01),
    ],
)
def test_the_share_rises_where_the_discriminator_is_too_sure_and_falls_where_it_is_not(share, real_loss, expected):
    assert update_augment_p(share, real_loss, target=0.2) == pytest.approx(expected)


def test_the_share_stays_between_nothing_and_the_most():
    share = 0.0
    for _ in range(200):
        share = update_augment_p(share, real_loss=0.0, target=0.2)
        assert 0 <= share <= MOST
    assert share == MOST
    for _ in range(200):
        share = update_augment_p(share, real_loss=1.0, target=0.2)
        assert 0 <= share <= MOST
    assert share == 0


WORDS = (
    "dataset.source=subset",
    "run.batch_size=16",
    "run.steps=40",
    "run.preview_every=0",
    "run.log_every=10",
    "run.device=cpu",
    "trainer.eval_classifier=null",
    "trainer.ada_target=10",
)


def shares(run):
    lines = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    return [round(line["augment_p"], 6) for line in lines]


@pytest.mark.parametrize("stop", [7, 20, 36])
def test_a_run_that_moves_pictures_and_is_resumed_is_the_run_that_was_not(stops_at, whole, tmp_path, stop):
    zoo.run("clsgan-mnist", *WORDS, folder=tmp_path / "stopped", callbacks=[stops_at(stop)])
    resumed = zoo.run(read_config(tmp_path / "stopped" / "config.yaml"), folder=tmp_path / "stopped", resume=True)
    assert (resumed.step, resumed.trainer.augment_p) == (40, whole.trainer.augment_p)
    assert resumed.folder.weights.read_bytes() == whole.folder.weights.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run whose discriminator is always found too sure, so that the share rises at every look."""
    return zoo.run("clsgan-mnist", *WORDS, folder=tmp_path_factory.mktemp("moved") / "run")


def test_the_share_is_reported_and_rises_in_the_run(whole):
    assert whole.trainer.augment_p > 0
    reported = shares(whole)
    assert reported == sorted(reported)
    assert reported[-1] > 0
