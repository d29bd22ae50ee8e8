"""Random split of labeled files, in which each class is divided alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo_plugins.datasets.class_folders import Sample

Group = Sequence[int]


def stratified_split(
    samples: Sequence[Sample], groups: Sequence[Group], validation_fraction: float, test_fraction: float, seed: int
) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Divide each class at random into train, validation and test, of which the last two may have the fraction 0.

    ``groups`` are indices of samples that stay together, such as copies of one image; a group is divided as one item of
    the class of its first sample. A class has at least one item in train, then one in test, then one in validation.
    """
    by_label: dict[int, list[Group]] = {}
    for group in groups:
        by_label.setdefault(samples[group[0]].label, []).append(group)
    parts: tuple[list[Sample], ...] = ([], [], [])
    for label in sorted(by_label):
        for part, divided in zip(
            parts, _divide(by_label[label], validation_fraction, test_fraction, seed), strict=True
        ):
            part += [samples[index] for group in divided for index in group]
    return mixed(parts[0], seed), mixed(parts[1], seed), mixed(parts[2], seed)


def mixed(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """The samples in a random order, so that the first ones, which previews show, are of several classes."""
    return [samples[index] for index in np.random.default_rng(seed).permutation(len(samples))]


def _divide(
    items: Sequence[Group], validation_fraction: float, test_fraction: float, seed: int
) -> tuple[list[Group], list[Group], list[Group]]:
    count = len(items)
    shuffled = [items[index] for index in np.random.default_rng(seed).permutation(count)]
    reserved = int(validation_fraction > 0 and count > 2)
    num_test = _number(test_fraction, count, count - 1 - reserved)
    num_validation = _number(validation_fraction, count, count - 1 - num_test)
    num_train = count - num_validation - num_test
    test_start = num_train + num_validation
    return shuffled[:num_train], shuffled[num_train:test_start], shuffled[test_start:]


def _number(fraction: float, count: int, most: int) -> int:
    return min(max(1, round(fraction * count)), most) if fraction else 0
