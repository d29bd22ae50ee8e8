"""Datasets that draw random numbers for each example, in the supported ways and in others."""

from __future__ import annotations

import functools
import random

import numpy as np
import tiny
import torch

import zoo_core as zoo


class _Augmented:
    """Points that are moved by random numbers, in one of many ways."""

    def __init__(self, draw):
        self.draw = draw

    def __len__(self):
        return 40

    def __getitem__(self, number):
        return {"point": torch.full((3,), float(number)) + self.draw(), "height": 0.0}


class Augments(tiny.Points):
    """Draws from the global generators, and from one that is created for each example; passes all checks."""

    def train(self):
        return _Augmented(lambda: torch.rand(3) + _drawn_from_global() + _drawn_with_own_seed())

    def test(self):
        return _Augmented(lambda: torch.rand(3) - 50)


def _drawn_from_global():
    return np.random.rand() + random.random()  # noqa: S311  # not for cryptography


def _drawn_with_own_seed():
    return np.random.default_rng(torch.initial_seed()).random()


class KeepsGenerator(tiny.Points):
    def train(self):
        self.rng = np.random.default_rng(0)
        return _Augmented(self._draw)

    def _draw(self):
        return self.rng.random()


class KeepsTorchGenerator(tiny.Points):
    def train(self):
        generator = torch.Generator().manual_seed(0)
        return _Augmented(lambda: torch.rand(3, generator=generator))


class KeepsRandom(tiny.Points):
    def train(self):
        return _Augmented(functools.partial(random.Random(0).uniform, 0, 1))  # noqa: S311  # not for cryptography


class _Counting(_Augmented):
    calls = 0

    def __getitem__(self, number):
        self.calls += 1
        return {"point": torch.full((3,), float(self.calls)), "height": 0.0}


class Counts(tiny.Points):
    def train(self):
        return _Counting(None)


class DrawsFromTheSystem(tiny.Points):
    def train(self):
        return _Augmented(lambda: np.random.default_rng().random())


class ForTest(KeepsGenerator):
    """Draws from a kept generator for validation only."""

    def train(self):
        return tiny.Points.train(self)

    def test(self):
        return KeepsGenerator.train(self)


class Plugin:
    """Registers all of them under their names in lower case, and a recipe for each."""

    @zoo.hookimpl
    def zoo_register(self, registry):
        run = {"steps": 10, "batch_size": 8}
        for cls in (Augments, KeepsGenerator, KeepsTorchGenerator, KeepsRandom, Counts, DrawsFromTheSystem, ForTest):
            name = cls.__name__.lower()
            registry.dataset(name, f"augmented_points:{cls.__name__}", summary="Draws", license="MIT")
            parts = {"model": "line", "dataset": name, "trainer": "line"}
            registry.recipe(
                f"with-{name}", __file__, **{part: {"name": value} for part, value in parts.items()}, run=run
            )
