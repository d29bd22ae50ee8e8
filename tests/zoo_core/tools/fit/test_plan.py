"""``zoo fit`` with a task that recognizes a file: found, planned, tried, trained, and described."""

from pathlib import Path

import psutil
import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.errors import BadFile, BadSetting, NameTaken, UnknownName
from zoo_core.registry.resolve import resolve
from zoo_core.registry.task import Budget
from zoo_core.tools.fit import plan as plan_module
from zoo_core.tools.fit import trial
from zoo_core.tools.fit.plan import fit_to_budget, has_length, plan, recipe_name, recognize, with_evaluations
from zoo_core.tools.fit.plan_file import write_plan
from zoo_core.tools.fit.results import keep_plan, write_results
from zoo_core.tools.fit.trial import Trial, try_steps
from zoo_core.training.runner import run_recipe
from zoo_core.weights.header import read_header

BUDGET = Budget(minutes=1, memory=2**40, device="cpu")


class FitPoints(zoo.Task):
    """Folders with a file ``points.txt``, which contains their number."""

    def find(self, folder: Path) -> zoo.Finding | None:
        file = folder / "points.txt"
        if not file.is_file():
            return None
        left_out = tuple(f"{path.name}: not points" for path in folder.iterdir() if path != file)
        return zoo.Finding("points", ("three coordinates",), left_out, int(file.read_text()))

    def plan(self, folder: Path, finding: zoo.Finding, budget: zoo.Budget) -> zoo.Plan:
        return zoo.Plan(
            {
                "model": {"name": "line"},
                "dataset": {"name": "points", "count": finding.facts},
                "trainer": {"name": "line"},
                "run": {"batch_size": 8, "device": "cpu"},
            },
            {"dataset.count": "as the file says", "run.batch_size": "small"},
        )


class FitGiven(FitPoints):
    def find(self, folder: Path) -> zoo.Finding | None:
        return zoo.Finding(f"{self.given}")


class FitAnything(FitPoints):
    def find(self, folder: Path) -> zoo.Finding | None:
        return zoo.Finding("anything")


class FitTheRest(FitAnything):
    fallback = True


def catalog(**tasks: type[zoo.Task]):
    here = tiny.catalog()

    class Tasks:
        @zoo.hookimpl
        def zoo_register(self, registry: zoo.Registry) -> None:
            for name, task in tasks.items():
                registry.task(name, f"{__name__}:{task.__name__}", summary="A file points.txt")

    here.plugins.add("tasks", Tasks())
    return here


@pytest.fixture
def here():
    return catalog(points=FitPoints)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "My points (2)"
    folder.mkdir()
    (folder / "points.txt").write_text("40")
    (folder / "notes.md").write_text("mine")
    return folder


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(trial, "_SECONDS", 0.05)


def test_the_task_that_fits_plans_a_recipe_called_like_the_folder(folder, here):
    found = recognize(folder, here)
    assert (found.entry.name, found.finding.left_out) == ("points", ("notes.md: not points",))
    planned = plan(found, BUDGET, ["trainer.learning_rate=0.1"])
    assert planned.recipe.name == recipe_name(folder) == "fit-my-points-2"
    assert planned.recipe.settings("dataset") == {"count": 40}
    assert planned.recipe.settings("trainer") == {"learning_rate": 0.1}
    assert planned.reasons["trainer.learning_rate"] == "given on the command line"
    assert not has_length(planned.recipe)


def test_the_steps_are_those_that_the_time_allows(folder, here):
    planned = plan(recognize(folder, here), BUDGET, [])
    found = try_steps(planned.recipe, here)
    fitted = with_evaluations(fit_to_budget(planned, BUDGET, here, spent=30))
    settings = fitted.recipe.settings("run")
    assert settings["steps"] * found.step < 60 * 2  # of a machine that others use as well
    assert settings["steps"] > 100
    assert settings["evaluate_every"] * 5 < settings["steps"]
    assert "for 1 minutes in all" in fitted.reasons["run.steps"]


def test_too_little_time_is_refused_with_what_is_needed(folder, here):
    planned = plan(recognize(folder, here), BUDGET, [])
    with pytest.raises(BadSetting, match=r"1 minutes are too few: a step takes .* s, and an evaluation") as refused:
        fit_to_budget(planned, BUDGET, here, spent=59.99)
    assert refused.value.hint.startswith("Write `--minutes ")


def test_a_batch_that_needs_too_much_memory_is_made_smaller_or_refused(folder, here, monkeypatch):
    planned = plan(recognize(folder, here), BUDGET, ["run.batch_size=32"])

    def tried(recipe, catalog):
        """Of which a batch of 16 needs more than the one of 32 lets expect."""
        batch = recipe.settings("run")["batch_size"]
        return Trial(0.1, 0.1, 0.1, 1000, 1000 + batch * (50 if batch > 16 else 100), 1)

    monkeypatch.setattr(plan_module, "try_steps", tried)
    fitted = fit_to_budget(planned, Budget(minutes=1, memory=2500, device="cpu"), here, spent=0)
    assert fitted.recipe.settings("run")["batch_size"] == 8  # of 30 that seem to fit, and then of 15
    assert fitted.reasons["run.batch_size"].startswith("fits into ")
    with pytest.raises(BadSetting, match="is too small: a batch of 1 needs about"):
        fit_to_budget(planned, Budget(minutes=1, memory=1040, device="cpu"), here, spent=0)


def test_a_budget_that_is_used_before_the_trial_is_refused_even_if_the_trial_needed_nothing(folder, here, monkeypatch):
    planned = plan(recognize(folder, here), BUDGET, [])
    monkeypatch.setattr(plan_module, "try_steps", lambda *_: Trial(0.1, 0.1, 0.1, 2000, 2000, 1))
    with pytest.raises(BadSetting, match="is too small: a batch of 1 needs about"):
        fit_to_budget(planned, Budget(minutes=1, memory=1000, device="cpu"), here, spent=0)


def test_the_memory_of_a_trial_is_its_own(folder, here):
    recipe = plan(recognize(folder, here), BUDGET, []).recipe
    large = torch.ones(2**27)  # 512 MiB, which are free again when the trial begins
    size = large.numel() * large.element_size()
    before = psutil.Process().memory_info().rss
    del large
    assert try_steps(recipe, here).memory < before - size // 2


def test_a_task_knows_what_the_command_line_gives(folder):
    words = ["dataset.count=3", "run.steps=2"]
    found = recognize(folder, catalog(given=FitGiven), None, words)
    assert found.finding.summary == "{'dataset': {'count': 3}, 'run': {'steps': 2}}"


@pytest.mark.parametrize(
    ("name", "kind", "message", "hint"),
    [
        (None, BadFile, "has no form that a task knows", "Known are: points: A file points.txt"),
        ("points", BadFile, "has no form that the task 'points' knows", "Known are: points"),
        ("point", UnknownName, "there is no task 'point'", "Did you mean 'points'"),
    ],
)
def test_a_folder_that_no_task_knows_is_refused(tmp_path, here, name, kind, message, hint):
    with pytest.raises(kind, match=message) as refused:
        recognize(tmp_path, here, name)
    assert hint in refused.value.hint


def test_several_tasks_that_fit_are_named(folder):
    here = catalog(points=FitPoints, anything=FitAnything)
    with pytest.raises(BadSetting, match=r"fits 2 tasks: points \(points\); anything \(anything\)") as refused:
        recognize(folder, here)
    assert "--task points" in refused.value.hint
    assert recognize(folder, here, "anything").finding.summary == "anything"
    with pytest.raises(BadFile, match="does not exist, but should be a folder of data"):
        recognize(folder / "gone", here)
    with pytest.raises(BadFile, match="is a file, but should be a folder of data"):
        recognize(folder / "points.txt", here)


def test_a_fallback_fits_what_no_other_task_fits_or_is_asked_for(folder, tmp_path):
    here = catalog(points=FitPoints, rest=FitTheRest)
    assert recognize(folder, here).entry.name == "points"
    assert recognize(folder, here, "rest").entry.name == "rest"
    (tmp_path / "empty").mkdir()
    assert recognize(tmp_path / "empty", here).entry.name == "rest"


def test_a_plan_is_a_recipe_file_with_a_comment_for_each_choice(folder, here, tmp_path):
    planned = plan(recognize(folder, here), BUDGET, ["run.steps=12", "trainer.learning_rate=0.1"])
    path = tmp_path / "plan.yaml"
    write_plan(planned, path)
    text = path.read_text()
    assert "# left out: notes.md: not points\n" in text
    assert "  count: 40                              # as the file says\n" in text
    assert "  steps: 12                              # given on the command line\n" in text
    assert dict(read_config(path).values) == dict(planned.recipe.values)
    with pytest.raises(NameTaken, match="exists, and nothing is overwritten"):
        write_plan(planned, path)


def test_a_finished_run_has_its_plan_a_report_and_a_card_with_the_weights(folder, here, tmp_path):
    planned = plan(recognize(folder, here), BUDGET, ["run.steps=12"])
    run = run_recipe(resolve(planned.recipe, here), [], tmp_path / "run")
    keep_plan(planned, run.path)
    files = write_results(planned, run.path, here)
    assert files == {
        "plan": run.path / "plan.yaml",
        "report": run.path / "report.html",
        "card": run.path / "published" / "fit-my-points-2.md",
    }
    assert "fit-my-points-2" in files["report"].read_text()
    assert "license: noassertion" in files["card"].read_text()
    assert read_header(files["card"].with_suffix(".safetensors")).metadata["license"] == "NOASSERTION"
    assert read_config(files["plan"]).settings("run")["steps"] == 12


class FitByMemory(FitPoints):
    """As many points as fit into the memory."""

    def plan(self, folder: Path, finding: zoo.Finding, budget: Budget) -> zoo.Plan:
        made = super().plan(folder, finding, budget)
        count = 100 if budget.memory > 3000 else 50 if budget.memory > 1500 else 10
        return zoo.Plan({**made.values, "dataset": {"name": "points", "count": count}}, made.reasons)


def test_a_plan_that_is_the_same_for_a_little_less_memory_is_tried_for_less(folder, monkeypatch):
    here = catalog(memory=FitByMemory)
    budget = Budget(minutes=1, memory=6000, device="cpu")
    planned = plan(recognize(folder, here), budget, [])

    def trial_of(recipe, catalog):  # 100 points need a little more than there is, whatever the batch is
        return Trial(0.1, 0.1, 0.1, 1000, 1000 + 51 * recipe.settings("dataset")["count"], 1)

    monkeypatch.setattr(plan_module, "try_steps", trial_of)
    assert fit_to_budget(planned, budget, here, spent=0).recipe.settings("dataset")["count"] == 50


def test_where_no_batch_fits_it_is_planned_again_for_less_memory(folder, monkeypatch):
    here = catalog(memory=FitByMemory)
    planned = plan(recognize(folder, here), Budget(minutes=1, memory=4000, device="cpu"), [])
    tried: list[int] = []

    def trial_of(recipe, catalog):
        tried.append(recipe.settings("dataset")["count"])
        return Trial(0.1, 0.1, 0.1, 1000, 1000 + 400 * tried[-1], 1)

    monkeypatch.setattr(plan_module, "try_steps", trial_of)
    fitted = fit_to_budget(planned, Budget(minutes=1, memory=6000, device="cpu"), here, spent=0)
    assert fitted.recipe.settings("dataset")["count"] == 10
    assert list(dict.fromkeys(tried)) == [100, 50, 10]
    with pytest.raises(BadSetting, match="is too small: a batch of 1 needs about"):
        fit_to_budget(planned, Budget(minutes=1, memory=1100, device="cpu"), here, spent=0)
