"""A pupil knows what its pictures teach: real digits teach it digits, and labels that are wrong teach it nothing."""

import pytest
import torch

import zoo_core as zoo
from zoo_plugins.clsgan.cas import train_and_score


@pytest.fixture(scope="module")
def digits():
    """Pictures and labels of 1,000 digits to learn from, and of 1,000 others."""
    data = zoo.build("mnist", {"source": "subset"}, kind="dataset")
    learnt, tested = data.train().tensors, data.test().tensors
    order = torch.randperm(len(learnt["label"]), generator=torch.Generator().manual_seed(0))[:1000]
    return learnt["image"][order], learnt["label"][order], tested["image"], tested["label"]


def test_real_digits_teach_digits(digits):
    torch.manual_seed(0)
    assert train_and_score("digit-classifier", *digits, classes=10) > 0.85


def test_labels_that_mean_nothing_teach_nothing(digits):
    image, label, test_image, test_label = digits
    torch.manual_seed(0)
    shuffled = label[torch.randperm(len(label))]
    assert train_and_score("digit-classifier", image, shuffled, test_image, test_label, classes=10) < 0.3


def test_the_same_seed_gives_the_same_pupil(digits):
    image, label, test_image, test_label = digits
    seen = []
    for _ in range(2):
        torch.manual_seed(1)
        seen.append(train_and_score("digit-classifier", image[:256], label[:256], test_image, test_label, classes=10))
    assert seen[0] == seen[1]


def test_it_may_be_called_where_gradients_are_off(digits):
    image, label, test_image, test_label = digits
    with torch.no_grad():
        torch.manual_seed(0)
        assert train_and_score("digit-classifier", image, label, test_image, test_label, classes=10) > 0.85
        assert not torch.is_grad_enabled()
