"""Evaluation on the validation and test splits."""

import json
import math
import warnings

import pytest
import tiny
import torch
import uneven_plugin

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training import runner


class Evaluations:
    """Keeps the step and the metrics of every evaluation."""

    def __init__(self):
        self.seen = []

    @zoo.hookimpl
    def zoo_evaluated(self, run, step, metrics):
        self.seen.append((step, metrics))


def test_validation_and_test_metrics_are_kept_apart(tmp_path):
    evaluations = Evaluations()
    run = tiny.train(
        tmp_path / "run", "run.steps=4", "run.evaluate_every=2", "dataset.apart=true", callbacks=(evaluations,)
    )
    assert evaluations.seen == [(2, run.validation_metrics), (4, run.test_metrics)]
    assert run.validation_metrics["error"] != run.test_metrics["error"]


def test_a_run_that_is_stopped_has_no_test_metrics(tmp_path):
    run = tiny.train(tmp_path / "run", "run.evaluate_every=2", callbacks=(tiny.Watcher(stop_at=3),))
    assert run.validation_metrics
    assert run.test_metrics == {}


def test_evaluating_more_often_does_not_change_the_training(tmp_path):
    plain = tiny.train(tmp_path / "plain", "run.steps=6")
    evaluated = tiny.train(tmp_path / "evaluated", "run.steps=6", "run.evaluate_every=1", "run.preview_every=1")
    assert plain.test_metrics == evaluated.test_metrics
    tensors = [run.model.state_dict() for run in (plain, evaluated)]
    assert all(tensors[0][name].equal(tensors[1][name]) for name in tensors[0])


def uneven(folder, *words, recipe="uneven", evaluated=None):
    """The finished run, or the metrics of the model ``evaluated``, and what was warned of."""
    here = Catalog()
    if "uneven" not in here.recipes:
        here.plugins.add("uneven_plugin", uneven_plugin)
    resolved = resolve(here.recipe(recipe, *words), here)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = runner.evaluate(resolved, evaluated, 1) if evaluated else runner.run_recipe(resolved, (), folder)
    return result, [str(one.message) for one in caught if one.category is UserWarning]


NO_TEST = "the dataset 'uneven-masks' has no test examples, so the run ends without test metrics."
NO_PREVIEW = "the dataset 'uneven-masks' has no validation examples, so the run makes no previews."


@pytest.mark.parametrize("recipe", ["uneven", "uneven-segmentation"])
def test_a_run_without_test_examples_warns_at_its_start_and_is_not_evaluated(tmp_path, recipe):
    run, warned = uneven(tmp_path / "run", "dataset.test_count=0", "run.preview_every=2", recipe=recipe)
    assert warned == [NO_TEST, NO_PREVIEW]
    assert (run.step, run.test_metrics) == (4, {})
    recorded = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert recorded["data"]["test_examples"] == 0
    assert NO_TEST in str(recorded)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["run.evaluate_every=2"], "run.evaluate_every is 2"),
        (["run.evaluate_every=2", "run.monitor=loss"], "run.evaluate_every is 2"),
    ],
)
@pytest.mark.parametrize("empty", ["dataset.test_count=0", "dataset.validation_count=0"])
def test_evaluations_without_validation_examples_are_refused_before_the_first_step(tmp_path, words, key, empty):
    with pytest.raises(
        zoo.BadSetting, match=f"{key}, but the dataset 'uneven-masks' has no validation examples"
    ) as error:
        uneven(tmp_path / "run", *words, empty)
    assert "run.evaluate_every=0" in error.value.hint
    assert not (tmp_path / "run").exists()


class LeavesOtherWeights(tiny.LineTrainer):
    def preview(self, batch):
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[0].weight.zero_()
        raise ValueError("no preview\nof this")


def test_a_preview_that_fails_with_other_weights_in_the_model_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "LineTrainer", LeavesOtherWeights)
    with pytest.raises(
        zoo.RunFailed, match=r"raised ValueError: no preview of this\. It had changed the model's parameters"
    ):
        tiny.train(tmp_path / "run")


def test_a_run_without_validation_examples_is_tested(tmp_path):
    run, warned = uneven(tmp_path / "run", "dataset.validation_count=0")
    assert warned == []
    assert run.test_metrics["loss"] > 0


def test_a_run_without_training_examples_is_refused(tmp_path):
    with pytest.raises(zoo.BadSetting, match="the dataset 'uneven-masks' has no training examples"):
        uneven(tmp_path / "run", "dataset.count=0")


def test_an_evaluation_without_examples_is_refused(tmp_path):
    run, _ = uneven(tmp_path / "run")
    with pytest.raises(zoo.BadSetting, match="the dataset 'uneven-masks' has no test examples to evaluate on"):
        uneven(tmp_path, "dataset.test_count=0", evaluated=run.model)


@pytest.mark.parametrize(
    ("recipe", "metrics"),
    [("uneven", "loss is nan"), ("uneven-segmentation", "mean_iou is nan, mean_dice is nan, pixel_accuracy is nan")],
)
def test_undefined_metrics_are_named_once_and_are_never_the_best(tmp_path, recipe, metrics):
    name = metrics.partition(" ")[0]
    words = ("dataset.ignored=all", "run.evaluate_every=1", f"run.monitor={name}")
    run, warned = uneven(tmp_path / "run", *words, recipe=recipe)
    assert warned == [f"evaluated on the validation split at step 1, {metrics}. It cannot be the best by run.monitor."]
    assert math.isnan(run.test_metrics[name])
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*")] == ["step-000000004"]


def test_hooks_get_the_mean_metrics_of_the_parts_of_a_batch(tmp_path):
    losses = []

    class Listener:
        @zoo.hookimpl
        def zoo_step_finished(self, metrics):
            losses.append(float(metrics["loss"]))

    here = Catalog(installed=False)
    here.plugins.add("uneven_plugin", uneven_plugin)
    for parts in (1, 4):
        recipe = here.recipe("uneven", f"run.grad_accumulation_steps={parts}")
        runner.run_recipe(resolve(recipe, here), [Listener()], tmp_path / str(parts))
    assert losses[:4] == pytest.approx(losses[4:], rel=1e-4)
