"""A part of the state that is not restored changes the resumed run, and is named."""

from __future__ import annotations

import pytest
import tiny
import torch

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.tools.omissions import SETTINGS, leave_out_each

SUBSET = ("dataset.source=subset", "run.device=cpu", "run.threads=1", "run.batch_size=8")


def omissions_of(recipe, folder, catalog, *words):
    resolved = resolve(catalog.recipe(recipe, *words, *SETTINGS), catalog)
    return {one.part: one for one in leave_out_each(resolved, folder)}


@pytest.mark.parametrize(
    ("recipe", "words", "noticed", "needless"),
    [
        pytest.param(
            "clsgan-mnist",
            ["trainer.eval_classifier=", "trainer.cas_classifier="],
            {
                "model",
                "generator_optimizer",
                "discriminator_optimizer",
                "generator_schedule",
                "discriminator_schedule",
                "steps",
                "run.average",
                "run.metrics",
                "step",
                "position",
                "seeds",
            },
            {"augment_p", "augments", "model.modes", "run.best", "run.engine"},
            marks=pytest.mark.long,
        ),
        (
            "digit-classifier-mnist",
            [],
            {"model", "optimizer", "schedule", "run.metrics", "step", "position", "seeds"},
            {"model.modes", "run.best", "run.engine"},
        ),
    ],
)
def test_every_omission_is_noticed(tmp_path, recipe, words, noticed, needless):
    found = omissions_of(recipe, tmp_path, Catalog(), *SUBSET, *words)
    assert {part for part, one in found.items() if one.difference} == noticed
    assert {part for part, one in found.items() if one.needless} == needless
    assert not any(one.missed for one in found.values())


class Unfreezing(tiny.LineTrainer):
    """Sets a module to eval mode in its third step, and keeps a tensor that was made then."""

    def step(self, batch):
        metrics = super().step(batch)
        if self.done == 3:
            self.engine.unwrap(self.model).layers[1].eval()
            self.bank = torch.ones(3)
        if self.done > 3:
            with torch.no_grad():
                self.engine.unwrap(self.model).layers[2].bias.add_(getattr(self, "bank", torch.zeros(3)).sum())
        return metrics


class Spare(tiny.LineTrainer):
    """Keeps a state that changes and that nothing depends on; it is compared nevertheless."""

    def step(self, batch):
        self.spare = getattr(self, "spare", 0) + 1
        return super().step(batch)


class Remembering(tiny.LineTrainer):
    """Keeps the last losses, which the next steps replace, and the last one, which the next step does."""

    def step(self, batch):
        metrics = super().step(batch)
        self.last = self.done % 3
        self.losses = [*getattr(self, "losses", []), float(metrics["loss"])][-3:]
        return metrics


def test_a_state_that_the_next_steps_replace_is_noticed_or_named(tmp_path):
    found = omissions_of("other", tmp_path, tiny.catalog_with(Remembering))
    assert found["losses"].difference == "at step 6, losses differs"
    assert found["last"].needless == "the next step sets it again"
    assert not any(one.missed for one in found.values())


def test_modes_of_modules_and_what_a_step_created_are_parts(tmp_path):
    found = omissions_of("other", tmp_path, tiny.catalog_with(Unfreezing))
    assert found["model.modes"].difference
    assert found["bank"].difference


def test_a_state_that_nothing_depends_on_is_compared_itself(tmp_path):
    assert omissions_of("other", tmp_path, tiny.catalog_with(Spare))["spare"].difference
