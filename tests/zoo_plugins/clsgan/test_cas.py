"""The classification accuracy score: high for real digits, at chance level for shuffled labels."""

import pytest
import torch

import zoo_core as zoo
from zoo_plugins.clsgan import cas
from zoo_plugins.clsgan.cas import train_and_score


@pytest.fixture(scope="module")
def digits():
    """Images and labels of 1,000 training digits, and of 1,000 test digits."""
    data = zoo.build("mnist", {"source": "subset"}, kind="dataset")
    train, test = data.train().tensors, data.test().tensors
    order = torch.randperm(len(train["label"]), generator=torch.Generator().manual_seed(0))[:1000]
    return train["image"][order], train["label"][order], test["image"], test["label"]


def test_real_digits_give_a_high_score(digits):
    torch.manual_seed(0)
    assert train_and_score("digit-classifier", *digits, num_classes=10) > 0.85


def test_shuffled_labels_give_a_low_score(digits):
    image, label, test_image, test_label = digits
    torch.manual_seed(0)
    shuffled = label[torch.randperm(len(label))]
    assert train_and_score("digit-classifier", image, shuffled, test_image, test_label, num_classes=10) < 0.3


def test_the_score_follows_from_the_images_and_draws_nothing_from_the_callers_generator(digits, monkeypatch):
    monkeypatch.setattr(cas, "_FEWEST_STEPS", 10)
    image, label, test_image, test_label = digits
    scores = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        score = train_and_score("digit-classifier", image[:256], label[:256], test_image, test_label, num_classes=10)
        scores.append(score)
        assert torch.equal(torch.get_rng_state(), state)
    assert scores[0] == scores[1]


def test_it_trains_under_no_grad(digits):
    image, label, test_image, test_label = digits
    with torch.no_grad():
        torch.manual_seed(0)
        assert train_and_score("digit-classifier", image, label, test_image, test_label, num_classes=10) > 0.85
        assert not torch.is_grad_enabled()
