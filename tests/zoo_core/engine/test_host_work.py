"""Work of the host in a step is found, with the line of the plugin's code."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo_core.engine.host_work import line_of_error, watched

CPU = torch.device("cpu")


class Trainer:
    def __init__(self):
        self.count, self.weight = 0, torch.zeros(2)
        self.held = SimpleNamespace(rate=0.5, names=["a"])
        self.generator, self.held.numpy = torch.Generator(), np.random.default_rng(0)
        self.held.legacy = np.random.RandomState(0)

    def step(self, change):
        scaled = self.weight * self.held.rate
        change(self)
        return scaled


def reason(change):
    trainer = Trainer()
    with watched(trainer, CPU) as work:
        trainer.step(change)
    return work.reason


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda trainer: None, None),
        (lambda trainer: trainer.weight.add_(1), None),
        (lambda trainer: setattr(trainer, "count", 1), "step changes self.count, which a graph cannot repeat"),
        (
            lambda trainer: setattr(trainer, "weight", torch.ones(2)),
            "step changes self.weight, which a graph cannot repeat",
        ),
        (lambda trainer: trainer.held.names.append("b"), "step changes self.held.names, which a graph cannot repeat"),
        (
            lambda trainer: setattr(trainer.held, "rate", 1.0),
            "step changes self.held.rate, which a graph cannot repeat",
        ),
        (lambda trainer: delattr(trainer, "count"), "step changes self.count, which a graph cannot repeat"),
        (lambda trainer: setattr(trainer, "new", 1), "step creates self.new, which a graph cannot repeat"),
        (
            lambda trainer: torch.rand(1, generator=trainer.generator),
            "step changes self.generator, which a graph cannot repeat",
        ),
        (lambda trainer: trainer.held.legacy.rand(624), "step changes self.held.legacy, which a graph cannot repeat"),
        (lambda trainer: trainer.held.numpy.random(), "step changes self.held.numpy, which a graph cannot repeat"),
        (lambda trainer: np.random.rand(), "step draws from NumPy's random numbers, which a graph cannot repeat"),
        (lambda trainer: random.random(), "step draws from Python's random numbers, which a graph cannot repeat"),  # noqa: S311
    ],
)
def test_what_a_step_changes_on_the_host_is_found(change, expected):
    assert reason(change) == expected


def test_the_attributes_that_a_step_reads_are_known():
    trainer = Trainer()
    with watched(trainer, CPU) as work:
        trainer.step(lambda trainer: None)
    assert {"weight", "held"} <= work.read
    assert "count" not in work.read
    assert "__getattribute__" not in vars(Trainer)


def test_the_line_of_an_error_is_that_of_the_plugin_and_not_that_of_torch():
    with pytest.raises(RuntimeError) as error:
        torch.zeros(2).add(torch.zeros(3))
    assert "test_host_work.py, line" in line_of_error(error.value)
    assert line_of_error(error.value).endswith(": `torch.zeros(2).add(torch.zeros(3))`")
