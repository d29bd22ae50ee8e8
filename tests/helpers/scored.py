"""Runs whose validation metrics are given, one for each second step."""

import math
from dataclasses import dataclass

import tiny

import zoo_core as zoo
from zoo_core.loggers import standard
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe

EVERY_SECOND = ("run.steps=40", "run.evaluate_every=2", "run.log_every=2", "run.checkpoint_every=2")
ACCURACIES = "[0.1, 0.5, 0.6, 0.61, 0.6, 0.5, 0.9]"  # at steps 2, 4, 6 …; then 0.2


class ScoredTrainer(tiny.LineTrainer):
    """Its validation metrics are those of its settings, one after the other."""

    @dataclass(frozen=True, kw_only=True)
    class Config(tiny.LineTrainer.Config):
        accuracies: list[float] = zoo.setting([], "accuracy of each second step, NaN if negative; afterwards it is 0.2")

    def evaluate(self, batches, train_batches):
        number = self.done // 2 - 1
        accuracy = self.config.accuracies[number] if number < len(self.config.accuracies) else 0.2
        accuracy = math.nan if accuracy < 0 else accuracy
        return {"accuracy": accuracy, "error": 1 - accuracy}


def train(folder, *words, callbacks=(), resume=False):
    resolved = resolve(catalog().recipe("other", f"trainer.accuracies={ACCURACIES}", *EVERY_SECOND, *words), catalog())
    return run_recipe(resolved, [*standard(), *callbacks], folder, resume)


def catalog():
    return tiny.catalog_with(ScoredTrainer)
