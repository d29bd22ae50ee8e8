"""The learning rate range test: which rates are tried, what is suggested, and what a user reads."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass
from typing import Any

import by_name
import pytest
import tiny
import torch
from repository import HELPERS
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.errors import BadSetting
from zoo_core.tools.tune.learning_rate import has_diverged, learning_rate_range, smooth, steepest


class TwoRates(zoo.Trainer):
    """Two optimizers, one in a mapping and with a tenth of the other's learning rate, and a schedule."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        self.model, self.optimizer = engine.prepare(model, torch.optim.SGD(model.layers[0].parameters(), lr=0.5))
        self._optimizers = {"last": torch.optim.SGD(model.layers[2].parameters(), lr=0.05)}
        self.schedule = torch.optim.lr_scheduler.ConstantLR(self.optimizer, factor=0.1)
        self.engine = engine
        self.seen: list[list[float]] = []

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        loss = (self.model(batch["point"]) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self._optimizers["last"].zero_grad()
        self.engine.backward(loss)
        self.seen.append([one.param_groups[0]["lr"] for one in (self.optimizer, *self._optimizers.values())])
        self.optimizer.step()
        self._optimizers["last"].step()
        RATES[:] = self.seen
        return {"loss": loss.detach(), "twice": 2 * loss.detach()}

    def after_step(self) -> None:
        self.schedule.step()


RATES: list[list[float]] = []


def test_the_rates_grow_by_one_factor_and_those_of_several_optimizers_in_proportion():
    here = tiny.catalog_with(TwoRates)
    found = learning_rate_range(here.recipe("other"), here, 1e-4, 1e-1, 31)
    assert found.rates[0] == pytest.approx(1e-4)
    assert found.rates[-1] == pytest.approx(1e-1)
    ratios = [after / before for before, after in zip(found.rates, found.rates[1:], strict=False)]
    assert ratios == pytest.approx([10**0.1] * 30)
    assert [pytest.approx([rate, rate / 10]) for rate in found.rates] == RATES
    assert found.factors == pytest.approx({"optimizer": 1.0, "_optimizers.last": 0.1})
    assert found.setting is None
    assert found.metric == "loss"


def test_the_suggestion_is_where_the_loss_falls_fastest():
    rates = [10 ** (number / 20 - 6) for number in range(121)]
    losses = [1 / (1 + (rate / 1e-3)) + (rate / 0.1) ** 2 for rate in rates]  # falls fastest at 1e-3
    assert steepest(rates, losses) == pytest.approx(1e-3, rel=0.2)
    assert steepest(rates, [*range(121)]) is None
    assert steepest(rates[:5], losses[:5]) is None


def test_losses_are_smoothed_without_a_bias():
    assert smooth([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smooth([1.0, 2.0]) == pytest.approx([1.0, (0.9 * 0.1 * 1 + 0.1 * 2) / (1 - 0.81)])


FLAT = [2.0] * 30


@pytest.mark.parametrize(
    ("losses", "diverged"),
    [([1.0, math.inf], True), ([math.nan], True), (FLAT, False), ([*FLAT, 1e3, 1e3], True), ([1.0, 9.0], False)],
)
def test_a_loss_that_explodes_ends_the_test(losses, diverged):
    assert has_diverged(losses) is diverged


def test_a_training_that_becomes_infinite_ends_early_and_gives_its_rates():
    here = tiny.catalog_with(TwoRates)
    found = learning_rate_range(here.recipe("other"), here, 1e-2, 1e30, 60)
    assert 1 < len(found.rates) < 60


@pytest.mark.parametrize(
    ("metric", "message", "hint"),
    [
        ("los", "do not report 'los', but loss, twice", "Did you mean 'loss'?"),
        ("accuracy", "do not report", "Choose one, for example `--metric loss`."),
    ],
)
def test_an_unknown_metric_is_refused_with_those_there_are(metric, message, hint):
    here = tiny.catalog_with(TwoRates)
    with pytest.raises(BadSetting, match=message) as raised:
        learning_rate_range(here.recipe("other"), here, metric=metric)
    assert raised.value.hint == hint


def zoo_tune(folder, *words):
    command = [PYTHON, "-m", "zoo_core", "--plugin", str(HELPERS / "recording_plugin.py"), "tune", "lr", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_the_command_draws_a_picture_and_says_what_to_type(tmp_path):
    words = ("digit-classifier-mnist", "dataset.source=subset", "run.device=cpu", "--steps", "60")
    done = zoo_tune(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "digit-classifier-mnist: " in done.stdout
    assert "zoo --plugin" in done.stdout
    assert "run digit-classifier-mnist trainer.learning_rate=" in done.stdout
    assert (tmp_path / "learning-rate.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["learning-rate.png"]


def test_the_command_gives_json_and_refuses_rates_that_fall(tmp_path):
    done = zoo_tune(tmp_path, "one", "--no-plot", "--json", "--steps", "30")
    found = json.loads(done.stdout)
    assert len(found["losses"]) == len(found["rates"]) == len(found["smoothed"])
    assert list(tmp_path.iterdir()) == []
    done = zoo_tune(tmp_path, "one", "--from", "1", "--to", "0.1")
    assert done.returncode == 2
    assert "error: the learning rates are from 1 to 0.1, but should be positive and rise." in done.stderr


@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
@pytest.mark.parametrize("scale", [0.1, 4])
def test_the_rates_are_those_of_the_setting_of_which_a_group_has_a_multiple(scale, schedule):
    words = [f"trainer.param_groups={{'*': {{lr_scale: {scale}}}}}", "trainer.optimizer=sgd"]
    recipe = by_name.RECIPE.with_overrides([*words, f"trainer.schedule={schedule}"])
    seen = []

    class Watch:
        @zoo.hookimpl
        def zoo_step_finished(self, run):
            seen.append(run.trainer.optimizer.param_groups[0]["lr"])

    here = by_name.catalog()
    here.plugins.add("watch", Watch())
    found = learning_rate_range(recipe, here, 1e-4, 1e-1, 20)
    assert found.setting == "trainer.learning_rate"
    assert found.rates[:2] == pytest.approx([1e-4, 1e-4 * 1000 ** (1 / 19)])
    assert scale * found.rates[1] == pytest.approx(seen[0])  # set after the first step, for the second one
