"""The example in one file, a regression on a table: short, trained, and checked as `zoo check` does."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import ROOT

import zoo_core as zoo
from zoo_core.config.command_line import PLUGIN_FILES
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.testing.collect import cases
from zoo_core.training.runner import run_recipe

EXAMPLE = ROOT / "examples" / "tabular_mlp.py"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    here = Catalog(installed=False)
    here.plugins.load_files([EXAMPLE])
    return here


def test_it_has_at_most_forty_lines() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 40


def test_it_explains_the_table_and_is_loaded_again(catalog: Catalog, tmp_path: Path) -> None:
    recipe = catalog.recipe("tabular-mlp", "run.device=cpu", "run.threads=1")
    run = run_recipe(resolve(recipe, catalog), (), tmp_path / "run")
    table = run.model.config
    assert run.test_metrics["loss"] < 3  # the variance is 24, and a linear function leaves 6
    with catalog.active():
        assert zoo.load(run.path).config == table


def test_it_passes_the_checks(catalog: Catalog) -> None:
    outcomes = {str(case): case.run() for case in cases("tabular-mlp", ["run.device=cpu"], catalog)}
    assert {name: outcome.why for name, outcome in outcomes.items() if outcome.state == "failed"} == {}


@pytest.mark.long
def test_two_processes_agree(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGIN_FILES, str(EXAMPLE))  # for the processes that the check starts
    found = cases("tabular-mlp", ["run.device=cpu"], catalog)
    assert [case.run().state for case in found if case.check.name == "two-processes-agree"] == ["passed"]
