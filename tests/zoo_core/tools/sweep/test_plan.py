"""The section ``sweep`` of a recipe: merged like the others, errors with file and line, ignored by a run."""

from __future__ import annotations

import pytest
from line_recipe import RECIPE

MINE = (
    RECIPE
    + """
    sweep:
      metric: -error
      space:
        trainer.learning_rate: 1e-3,1e-2
"""
)


def test_the_section_defines_the_search_space_and_the_metric(sweep):
    sweep.write("registry.yaml", MINE)
    done = sweep.json("line")
    assert done.code == 0
    assert [trial["settings"] for trial in done.trials] == [
        {"trainer.learning_rate": 1e-3},
        {"trainer.learning_rate": 1e-2},
    ]
    assert done.result["metric"] == "-error"


def test_overrides_and_options_take_precedence_over_the_section(sweep):
    sweep.write("registry.yaml", MINE)
    done = sweep.json("line", "trainer.learning_rate=0.1", "run.seed=1,2,3", "--metric", "error", "--trials", "2")
    assert [set(trial["settings"]) for trial in done.trials] == [{"run.seed"}, {"run.seed"}]
    assert done.result["metric"] == "error"
    assert "learning_rate: 0.1" in (done.folder / "trial-0000" / "config.yaml").read_text()


def test_a_recipe_that_extends_another_overrides_its_section(sweep):
    sweep.write(
        "registry.yaml",
        MINE
        + """
  other:
    extends: line
    sweep:
      space:
        trainer.learning_rate: null
        run.batch_size: 4,8
""",
    )
    done = sweep.json("other")
    assert [trial["settings"] for trial in done.trials] == [{"run.batch_size": 4}, {"run.batch_size": 8}]


def test_a_later_registry_file_overrides_an_earlier_one(sweep):
    sweep.write("registry.yaml", MINE)
    sweep.write("more.yaml", 'recipes: {line: {sweep: {space: {"trainer.learning_rate": "1e-4,1e-5,1e-6"}}}}')
    assert len(sweep.json("line", "--registry", "more.yaml").trials) == 3


def test_a_run_ignores_the_section_and_does_not_save_it(sweep, capsys):
    from zoo_core.cli import _exit_code

    printed = []
    for text in (RECIPE, MINE):
        sweep.write("registry.yaml", text)
        assert _exit_code(["run", "line", "--print-config"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "sweep" not in printed[0]


@pytest.mark.parametrize(
    ("section", "message", "hint"),
    [
        ("sweep: 5", "registry.yaml:8: sweep is 5, but should be a mapping.", "sweep: {metric:"),
        (
            "sweep: {metrik: error}",
            "registry.yaml:8: sweep.metrik: the sweep of 'line' has no such setting.",
            "'sweep.metric'",
        ),
        ("sweep: {trials: many}", "registry.yaml:8: sweep.trials is 'many', but should be an int", ""),
        ("sweep: {trials: 0}", "registry.yaml:8: sweep.trials is 0, but should be at least 1", ""),
        ("sweep: {sampler: tpee}", "registry.yaml:8: sweep.sampler is 'tpee'", "'tpe'"),
        (
            "sweep:\n      space:\n        run.seed: 5",
            "registry.yaml:10: sweep.space.run.seed is 5, which is a single value.",
            "Write choices separated by commas",
        ),
        (
            "sweep:\n      space:\n        run.seed: [5, 6]",
            "registry.yaml:10: sweep.space.run.seed is [5, 6], which is a single value.",
            "as text: '1e-4,3e-4'",
        ),
        ("sweep:\n      space:\n        run.seed: 6..5", "registry.yaml:10: run.seed=6..5: the lower", "Write 'low"),
        (
            "sweep:\n      metric: error\n      space:\n        run.seed: 5,6,-7",
            "registry.yaml:11: run.seed is -7, but should be at least 0",
            "",
        ),
        (
            "sweep:\n      metric: error\n      space:\n        trainer.rate: 5,6",
            "registry.yaml:11: trainer.rate: trainer 'line' has no such setting.",
            "Its settings",
        ),
    ],
)
def test_an_invalid_section_is_reported_with_file_and_line_and_nothing_is_written(sweep, section, message, hint):
    sweep.write("registry.yaml", f"{RECIPE}    {section}\n")
    done = sweep("line")
    assert done.code == 2
    first, *rest = done.err.splitlines()
    assert message in first
    assert hint in "".join(rest)
    assert not done.folder.exists()
