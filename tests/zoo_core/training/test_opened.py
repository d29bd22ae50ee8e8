"""Settings that the dataset provides: taken where a recipe leaves them open, recorded, and never contradicted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import provided_plugin
import psutil
import pytest
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.testing.collect import cases
from zoo_core.tools.evaluate import evaluate
from zoo_core.training.runner import run_recipe
from zoo_core.weights.header import read_header

FROM_DATA = {"num_classes": 3, "columns": 4, "class_names": ["a", "b", "c"], "bias": True}


def train(folder: Path, *overrides: str) -> Run:
    here = provided_plugin.catalog()
    return run_recipe(resolve(here.recipe("fit", *overrides), here), (), folder)


def error(folder: Path, *overrides: str) -> zoo.BadSetting:
    with pytest.raises(zoo.BadSetting) as raised:
        train(folder, *overrides)
    assert not folder.exists()
    return raised.value


def test_open_settings_of_the_model_and_the_trainer_are_those_of_the_dataset(tmp_path: Path) -> None:
    run = train(tmp_path / "run")
    assert run.model.layer.weight.shape == (3, 4)
    assert run.trainer.config.names == ("a", "b", "c")
    assert run.recipe.settings("model") == FROM_DATA
    assert read_config(tmp_path / "run" / "config.yaml").settings("model") == FROM_DATA
    assert read_header(run.folder.weights).metadata["config"] == FROM_DATA


def test_the_weights_are_loaded_without_the_data(tmp_path: Path) -> None:
    run, here = train(tmp_path / "run"), provided_plugin.catalog()
    here.registry.entries[:] = [entry for entry in here.registry.entries if entry.kind == "model"]
    with here.active():
        assert zoo.load(run.path).config == run.model.config


def test_the_config_of_a_run_repeats_it_and_a_resume_changes_nothing(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "run.steps=4")
    here = provided_plugin.catalog()
    recipe = read_config(tmp_path / "run" / "config.yaml")
    again = run_recipe(resolve(recipe, here), (), tmp_path / "again")
    assert again.test_metrics == run.test_metrics
    with pytest.warns(UserWarning, match=r"run\.steps is now 9 \(was 4\)"):
        longer = run_recipe(resolve(here.recipe("fit", "run.steps=9"), here), (), tmp_path / "run", resume=True)
    assert longer.step == 9
    assert "model" not in str(longer.folder.read_environment().get("changed"))


def test_weights_are_evaluated_on_data_that_do_not_contradict_them_only(tmp_path: Path) -> None:
    run, here = train(tmp_path / "run"), provided_plugin.catalog()
    weights = str(run.folder.weights)
    assert evaluate(weights, here, [], 0.0).measured == run.test_metrics
    with pytest.raises(zoo.BadSetting, match=r"num_classes is 3, but the dataset 'table' provides num_classes = 4"):
        evaluate(weights, here, ["dataset.provided.num_classes=4"], 0.0)


def test_the_default_is_for_a_dataset_that_does_not_provide_the_value(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "dataset.provided={columns: 4}")
    assert run.recipe.settings("model") == {"num_classes": 10, "columns": 4, "class_names": [], "bias": True}


def test_a_required_setting_may_be_set_by_the_recipe_if_the_dataset_does_not_provide_it(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "dataset.provided={num_classes: 5}", "model.columns=4")
    assert run.model.layer.weight.shape == (5, 4)


def test_a_model_may_have_more_classes_than_the_data(tmp_path: Path) -> None:
    assert train(tmp_path / "run", "model.num_classes=26").model.layer.weight.shape == (26, 4)


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        (
            ["model.num_classes=2", "model.class_names=[]"],
            "model.num_classes is 2, but the dataset 'table' provides num_classes = 3.",
            "Leave model.num_classes out to take that of the dataset, or choose another dataset.",
        ),
        (
            ["model.columns=5"],
            "model.columns is 5, but the dataset 'table' provides columns = 4.",
            "Leave model.columns out to take that of the dataset, or choose another dataset.",
        ),
        (
            ["trainer.names=[a, c, b]"],
            "trainer.names is ['a', 'c', 'b'], but the dataset 'table' provides class_names = ['a', 'b', 'c'].",
            "Leave trainer.names out to take that of the dataset, or choose another dataset.",
        ),
        (
            ["dataset.provided={num_classes: 3}"],
            "model.columns is missing: the dataset 'table' does not provide columns, and the recipe does not set it.",
            "Add `model.columns=…`, or return {'columns': …} in provides() of the dataset.",
        ),
        (
            ["dataset.provided={columns: 4}", "model.num_classes=???"],
            "model.num_classes is missing: the dataset 'table' does not provide num_classes, and the recipe does not",
            "Add `model.num_classes=…`",
        ),
        (
            ["dataset.provided={columns: four}"],
            "the dataset 'table' provides columns = 'four', but model.columns should be an int.",
            "Correct provides() of the dataset, whose columns becomes model.columns.",
        ),
        (
            ["dataset.provided={columns: 4, num_classes: 1}"],
            "the dataset 'table' provides num_classes = 1, but model.num_classes should be at least 2.",
            "Correct provides() of the dataset, whose num_classes becomes model.num_classes.",
        ),
        (
            ["dataset.returns=[3]"],
            "returns [3], but should return a mapping from names to values.",
            'Return for example {"num_classes": 10}, or {}.',
        ),
        (["model.columns=wide"], "model.columns is 'wide', but should be an int", ""),
        (["dataset.provided={columns: 4, num_classes: 2, class_names: [a, b, c]}"], "there are more names than", ""),
    ],
)
def test_a_contradiction_or_a_missing_value_is_refused_in_two_lines(
    tmp_path: Path, overrides: list[str], message: str, hint: str
) -> None:
    refused = error(tmp_path / "run", *overrides)
    assert message in refused.message
    assert hint in (refused.hint or "")


def test_the_line_of_a_registry_file_that_contradicts_is_named(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text("recipes:\n  wrong:\n    extends: fit\n    model: {columns: 7}\n")
    here = provided_plugin.Catalog([file], installed=False)
    here.plugins.load_files([Path(provided_plugin.__file__)])
    with pytest.raises(zoo.BadSetting, match=r"registry\.yaml:4: .*model\.columns is 7, but the dataset"):
        run_recipe(resolve(here.recipe("wrong"), here), (), tmp_path / "run")


def test_a_recipe_that_waits_for_its_dataset_is_checked_and_printed_without_it() -> None:
    here = provided_plugin.catalog()
    resolved = resolve(here.recipe("fit"), here)
    assert resolved.recipe.settings("model") == {"bias": True}
    with pytest.raises(zoo.BadSetting, match="no such setting"):
        resolve(here.recipe("fit", "model.colums=4"), here)
    with pytest.raises(zoo.BadSetting, match=r"model\.bias is 'big', but should be a bool"):
        resolve(here.recipe("fit", "model.bias=big"), here)


def test_info_shows_what_comes_from_the_dataset() -> None:
    (described,) = [
        one for one in provided_plugin.catalog().info("linear")["model"]["settings"] if one["name"] == "columns"
    ]
    assert described["from_dataset"] == "columns"
    assert described["help"] == "columns of the table (at least 1) (from the dataset: columns)"


def test_a_dataset_cannot_ask_itself() -> None:
    with pytest.raises(TypeError, match=r"Self\.Config\.size is a setting of a dataset, which cannot ask"):

        class Self(zoo.Dataset):
            class Config:
                size: int = zoo.setting(1, "rows", from_dataset="size")


def test_the_checks_build_the_recipe_with_what_the_dataset_provides() -> None:
    found = {case.check.name: case.run() for case in cases("fit", (), provided_plugin.catalog())}
    assert {name: one.why for name, one in found.items() if one.state == "failed"} == {}
    assert found["stop-and-resume-is-bit-identical"].state == "passed"


STARTING = """
    import subprocess, sys
    import zoo_core as zoo
    from tiny import RECIPE, Points, catalog
    from zoo_core.registry.resolve import resolve
    from zoo_core.training.assemble import build_data
    from zoo_core.training.opened import open_dataset

    def started():
        print(subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)

    def starting(method):
        original = getattr(Points, method)
        setattr(Points, method, lambda *given: (started(), original(*given))[1])

    for method in ("__init__", "train", "fingerprint"):
        starting(method)
    started()
    here = catalog()
    build_data(open_dataset(resolve(RECIPE, here)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a dataset starts in this process is known on Linux only")
def test_what_a_dataset_starts_before_the_first_step_ends_with_the_process() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = [PYTHON, "-c", textwrap.dedent(STARTING)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    other, *own = map(int, done.stdout.split())
    assert len(own) >= 3
    end = time.monotonic() + 60
    while any(map(psutil.pid_exists, own)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, own))
    os.kill(other, signal.SIGKILL)  # it lives
