"""The metrics of a trainer on a few test examples, divided into batches and processes in one way or another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Example, Examples
from zoo_core.training.loop import Loop
from zoo_core.training.reachable import find_modules
from zoo_core.training.splits import OnDevice
from zoo_core.training.undisturbed import undisturbed

NUM_EXAMPLES = 11  # a prime number, so that batches are unequal
_TOLERANCE = 1e-4  # sums in float32 in another order differ by about 1e-6


def evaluate(loop: Loop, size: int, seed: int = 0) -> dict[str, float]:
    """The metrics on the first ``NUM_EXAMPLES`` test examples, in batches of ``size`` in each process."""
    splits, engine = loop.splits, loop.engine
    if not len(splits.test):
        return {}
    few = dataclasses.replace(
        splits,
        train=_First(splits.train, 8 * NUM_EXAMPLES),
        test=_First(splits.test, NUM_EXAMPLES),
        batch_size=size * splits.world,
        workers=0,
    )
    batches, train_batches = (OnDevice(part, engine.to_device) for part in (few.test_batches, few.train_batches))
    trainer = loop.run.trainer
    held = [loop.run.model, *vars(trainer).values()]
    with undisturbed([trainer, *held]), engine.evaluating([*held, *find_modules(held)], shared=splits.distributed):
        seed_step(seed, 0, 0, "evaluate")
        given = trainer.evaluate(batches, train_batches)
    return {name: float(value) for name, value in given.items()}


def different(one: Mapping[str, float], other: Mapping[str, float]) -> list[str]:
    """The metrics that differ by more than rounding, with both values."""
    listed = []
    for name in one.keys() | other.keys():
        values = one.get(name, math.inf), other.get(name, math.inf)
        both_nan = all(map(math.isnan, values))
        if not both_nan and not math.isclose(*values, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE**2):
            listed.append(f"{name} is {values[0]:.6g} and {values[1]:.6g}")
    return sorted(listed)


class _First:
    """The first examples of a split, at most ``count``."""

    def __init__(self, examples: Examples, count: int) -> None:
        self.examples, self.count = examples, min(count, len(examples))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]
