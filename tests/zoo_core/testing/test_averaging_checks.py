"""A trainer whose results depend on how the examples are divided fails, and one that counts passes."""

from __future__ import annotations

import pytest
import uneven_plugin
from repository import HELPERS

from zoo_core.config.command_line import PLUGIN_FILES
from zoo_core.registry.catalog import Catalog
from zoo_core.testing.averaging_checks import (
    metrics_do_not_depend_on_the_batch_size,
    parts_have_the_gradients_of_the_batch,
)
from zoo_core.testing.check import Check, Subject
from zoo_core.testing.collect import Case
from zoo_core.testing.process_checks import two_processes_agree


def outcome(check: Check, *overrides: str, recipe: str = "uneven") -> tuple[str, str]:
    here = Catalog()
    if "uneven" not in here.recipes:
        here.plugins.add("uneven_plugin", uneven_plugin)
    result = Case(check, Subject("recipe", recipe, here, overrides)).run()
    return result.state, result.why


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("trainer.noise=true", "model.dropout=0.5"),
        ("dataset.ignored=first-half",),
        ("dataset.ignored=none",),
        ("run.batch_size=6",),
    ],
)
def test_a_loss_that_is_divided_by_the_count_of_the_batch_passes(overrides):
    assert outcome(parts_have_the_gradients_of_the_batch, *overrides) == ("passed", "")


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("dataset.ignored=none",),  # the check ignores pixels itself
        ("trainer.noise=true", "model.dropout=0.5"),
        ("run.batch_size=2",),
    ],
)
def test_a_trainer_that_averages_the_means_of_the_parts_fails(overrides):
    state, why = outcome(parts_have_the_gradients_of_the_batch, "trainer.averages=means", *overrides)
    assert state == "failed"
    assert "parts instead of one, the gradients differ by" in why


def test_an_optimizer_that_steps_in_every_part_fails():
    state, why = outcome(parts_have_the_gradients_of_the_batch, "trainer.steps_in_every_part=true")
    assert (state, why) == ("failed", "with 4 parts instead of one, an optimizer steps 4 times instead of 1")


def test_a_loss_that_compares_examples_fails_in_parts():
    assert outcome(parts_have_the_gradients_of_the_batch, "trainer.contrastive=true")[0] == "failed"


def test_a_trainer_that_refuses_parts_is_skipped_with_its_reason():
    state, why = outcome(parts_have_the_gradients_of_the_batch, "trainer.loss=dice", recipe="uneven-segmentation")
    assert state == "skipped"
    assert "trainer.loss is 'dice'" in why
    state, why = outcome(parts_have_the_gradients_of_the_batch, "run.batch_size=7")
    assert (state, why) == ("skipped", "a batch of 7 examples cannot be split into 2 or 4 parts of the same size")


@pytest.mark.parametrize("weights", ["[]", "[1,5,1]"])
def test_the_segmentation_trainer_averages_over_weighted_pixels(weights):
    words = f"trainer.class_weights={weights}"
    assert outcome(parts_have_the_gradients_of_the_batch, words, recipe="uneven-segmentation") == ("passed", "")
    assert outcome(metrics_do_not_depend_on_the_batch_size, words, recipe="uneven-segmentation") == ("passed", "")


def test_two_processes_that_average_differently_than_one_fail(monkeypatch):
    monkeypatch.setenv(PLUGIN_FILES, str(HELPERS / "uneven_plugin.py"))
    state, why = outcome(two_processes_agree, "trainer.averages=means")
    assert state == "failed"
    assert "in two processes instead of one, the gradients differ by" in why


@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        pytest.param("uneven", ("trainer.contrastive=true", "trainer.noise=true"), marks=pytest.mark.long),
        pytest.param(
            "uneven-segmentation", ("trainer.loss=both", "trainer.class_weights=[1,5,1]"), marks=pytest.mark.long
        ),
    ],
)
def test_sums_of_all_processes_have_the_gradients_of_the_batch(monkeypatch, recipe, overrides):
    monkeypatch.setenv(PLUGIN_FILES, str(HELPERS / "uneven_plugin.py"))
    assert outcome(two_processes_agree, *overrides, recipe=recipe) == ("passed", "")


@pytest.mark.long
def test_an_evaluation_of_the_examples_of_one_process_fails(monkeypatch):
    monkeypatch.setenv(PLUGIN_FILES, str(HELPERS / "uneven_plugin.py"))
    state, why = outcome(two_processes_agree, "trainer.sums=false")
    assert state == "failed"
    assert "evaluated in one process and in two, loss is" in why
