"""Weights of the classes in the loss."""

import pytest
import torch

import zoo_core as zoo
from zoo_plugins.classifier.class_weights import class_weights


def test_balanced_weights_give_each_class_the_same_total():
    counts = (900, 90, 10)
    weights = class_weights("balanced", counts, 3)
    totals = weights * torch.tensor(counts)
    torch.testing.assert_close(totals, torch.full((3,), 1000 / 3))


def test_classes_without_images_and_further_classes_of_the_model_count_once():
    assert class_weights("balanced", (10, 0, 30), 5).tolist() == pytest.approx([2, 1, 2 / 3, 1, 1])


def test_without_weights_there_are_none_and_given_ones_are_used():
    assert class_weights((), (1, 2), 2) is None
    assert class_weights((1.0, 2.5), (), 2).tolist() == [1, 2.5]
    assert class_weights((1.0, 2.5), (), None).tolist() == [1, 2.5]


@pytest.mark.parametrize(
    ("setting", "counts", "message"),
    [
        ("balanced", (), "does not say how many images"),
        ("balanced", (1, 2, 3), r"trainer\.class_counts has 3 values, but the model has 2 classes"),
        ((1.0,), (), r"trainer\.class_weights has 1 values, but the model has 2 classes"),
    ],
)
def test_weights_that_are_not_those_of_the_classes_are_refused(setting, counts, message):
    with pytest.raises(zoo.ZooError, match=message) as error:
        class_weights(setting, counts, 2)
    assert error.value.hint
