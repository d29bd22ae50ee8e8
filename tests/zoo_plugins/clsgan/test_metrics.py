"""The metrics of generated digits are those of the real images that they are compared with in this evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo_core as zoo
from zoo_plugins.clsgan import cas, metrics
from zoo_plugins.clsgan.metrics import GANEvaluator


class Repeats(nn.Module):
    """A generator that returns stored digits of each label."""

    def __init__(self, image, label):
        super().__init__()
        self.image, self.label = image, label

    def forward(self, noise, label):
        first = torch.stack([(self.label == one).nonzero()[0, 0] for one in range(10)])
        return self.image[first[label]]


@pytest.fixture
def digits(monkeypatch):
    monkeypatch.setattr(metrics, "IMAGES_PER_CLASS", 20)
    monkeypatch.setattr(cas, "_FEWEST_STEPS", 5)
    return zoo.build("mnist", {"source": "subset"}, kind="dataset").train().tensors


def batch_of(digits, start, stop):
    return [zoo.Batch(image=digits["image"][start:stop], label=digits["label"][start:stop])]


def evaluator(cas_classifier=None):
    config = zoo.build("clsgan").config
    return GANEvaluator("digit-classifier-mnist", cas_classifier, torch.device("cpu"), config)


def test_an_evaluation_on_other_images_uses_their_statistics(digits):
    generator = Repeats(digits["image"], digits["label"])
    train, validation, test = (batch_of(digits, *part) for part in ((0, 300), (300, 600), (600, 900)))
    one = evaluator()
    first = one.evaluate(generator, validation, train)
    after_validation = one.evaluate(generator, test, train)
    alone = evaluator().evaluate(generator, test, train)
    assert after_validation == alone
    assert list(alone) == one.names
    assert first != alone


def test_a_later_evaluation_gives_what_the_first_one_gives(digits):
    generator = Repeats(digits["image"], digits["label"])
    train, test = batch_of(digits, 0, 300), batch_of(digits, 600, 900)
    one = evaluator("digit-classifier")
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(one.evaluate(generator, test, train))
    assert results[0] == results[1]
    assert list(results[0]) == one.names
