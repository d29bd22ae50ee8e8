"""Random splits of labeled files."""

from pathlib import Path

import pytest

from zoo_plugins.datasets.class_folders import Sample
from zoo_plugins.datasets.stratified import stratified_split


def samples(*counts):
    return [Sample(Path(f"{label}/{number}"), label) for label, count in enumerate(counts) for number in range(count)]


def divided(given, validation=0.1, test=0.1, groups=None, seed=0):
    alone = [[index] for index in range(len(given))]
    return stratified_split(given, alone if groups is None else groups, validation, test, seed)


def numbers(parts, label):
    return tuple(sum(sample.label == label for sample in part) for part in parts)


@pytest.mark.parametrize("fractions", [(0.1, 0.1), (0.5, 0.5), (0.9, 0.9), (0.01, 0.99), (0.99, 0.01)])
def test_every_class_of_three_or_more_has_an_item_in_each_split(fractions):
    given = samples(3, 4, 10, 1000)
    parts = divided(given, *fractions)
    assert sorted(sample for part in parts for sample in part) == sorted(given)
    assert min(number for label in range(4) for number in numbers(parts, label)) >= 1


def test_classes_of_one_and_two_items_are_for_training_first_and_then_for_the_test():
    parts = divided(samples(1, 2, 100), 0.2, 0.1)
    assert [numbers(parts, label) for label in range(3)] == [(1, 0, 0), (1, 0, 1), (70, 20, 10)]


def test_a_fraction_of_0_makes_no_split():
    assert list(map(len, divided(samples(10, 10), 0, 0.2))) == [16, 0, 4]
    assert list(map(len, divided(samples(10, 10), 0.2, 0))) == [16, 4, 0]


def test_groups_stay_together_in_the_split_of_their_first_item():
    given = samples(10, 10)
    groups = [[0, 1, 2], [3, 15], *([index] for index in range(4, 20) if index != 15)]
    for seed in range(20):
        parts = divided(given, 0.3, 0.3, groups, seed)
        for group in groups:
            assert any({given[index] for index in group} <= set(part) for part in parts)
