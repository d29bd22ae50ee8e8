"""Verifying the metrics of weights, by evaluating them again or by repeating the training."""

import json
import warnings

import pytest
import tiny

import zoo_core as zoo
from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools.evaluate import Comparison, evaluate, reproduce
from zoo_core.weights.format import read_tensors, write
from zoo_core.weights.header import read_header


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of twelve steps."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    tiny.train(folder, "run.steps=12", "run.seed=3")
    return folder


@pytest.fixture
def altered(run, tmp_path):
    """A function that writes the weights of the run with other metadata."""

    def altered(**changes):
        path = run / "model.safetensors"
        metadata = {key: value for key, value in {**read_header(path).metadata, **changes}.items() if value is not None}
        write(tmp_path / "altered.safetensors", read_tensors(path), metadata)
        return tmp_path / "altered.safetensors"

    return altered


def metrics_of(path):
    return read_header(path).metadata["metrics"]


def test_metrics_measured_again_match_to_the_last_digit(run):
    comparison = evaluate(run, tiny.catalog(), [], tolerance=0)
    assert comparison.match
    assert comparison.measured == comparison.expected == metrics_of(run / "model.safetensors")
    assert comparison.expected.keys() == {"error", "error/points"}
    assert (comparison.mismatches, comparison.same_data) == ([], True)


def test_an_evaluation_writes_nothing_and_calls_no_hooks(run, tmp_path, monkeypatch):
    class Alarm:
        @zoo.hookimpl
        def zoo_run_started(self):
            raise AssertionError("an evaluation is not a run")

        @zoo.hookimpl
        def zoo_evaluated(self):
            raise AssertionError("an evaluation is not a run")

    here = tiny.catalog()
    here.plugins.add("alarm", Alarm())
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(run, here, [], tolerance=0)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["error", "error/points"])
def test_an_altered_metric_is_a_mismatch(run, altered, name):
    metrics = metrics_of(run / "model.safetensors")
    comparison = evaluate(altered(metrics={**metrics, name: metrics[name] * 0.9}), tiny.catalog(), [], tolerance=0.01)
    assert not comparison.match
    assert comparison.mismatches == [name]
    (row,) = [row for row in comparison.rows() if not row["match"]]
    assert row == {"metric": name, "expected": metrics[name] * 0.9, "measured": metrics[name], "match": False}


def test_a_metric_that_is_no_longer_measured_is_a_mismatch(run, altered):
    metrics = metrics_of(run / "model.safetensors")
    comparison = evaluate(altered(metrics={**metrics, "beauty": 1.0}), tiny.catalog(), [], tolerance=1)
    assert comparison.mismatches == ["beauty"]
    assert {"metric": "beauty", "expected": 1.0, "measured": None, "match": False} in comparison.rows()


def test_altered_weights_are_a_mismatch(run, tmp_path):
    path = run / "model.safetensors"
    tensors = read_tensors(path)
    tensors["layers.2.bias"] = tensors["layers.2.bias"] + 1
    write(tmp_path / "other.safetensors", tensors, read_header(path).metadata)
    assert evaluate(tmp_path / "other.safetensors", tiny.catalog(), [], tolerance=0.05).mismatches == ["error"]


def test_metrics_of_another_dataset_never_match(run):
    comparison = evaluate(run, tiny.catalog(), ["dataset.count=40"], tolerance=0.01)
    assert not comparison.same_data
    assert not comparison.match
    assert comparison.mismatches == []  # the test examples happen to be the same
    assert {row["match"] for row in comparison.rows()} == {None}


def test_the_tolerance_is_relative_to_the_expected_value():
    assert Comparison({"a": 100.0, "b": 0.0}, {"a": 101.0, "b": 0.0}, 0.02, True).match
    assert Comparison({"a": 100.0}, {"a": 103.0}, 0.02, True).mismatches == ["a"]
    assert Comparison({"b": 0.0}, {"b": 0.001}, 0.02, True).mismatches == ["b"]
    assert Comparison({"a": 1.0}, {"a": float("nan")}, 0.02, True).mismatches == ["a"]
    assert not Comparison({}, {"a": 1.0}, 0.02, True).match


def test_a_warning_of_the_dataset_is_passed_on(altered, run):
    recipe = json.loads(json.dumps(read_header(run / "model.safetensors").metadata["recipe"]))
    recipe["dataset"]["warn"] = True
    with pytest.warns(UserWarning, match="these are not the real points"):
        evaluate(altered(recipe=recipe), tiny.catalog(), [], tolerance=0)


def test_weights_without_metrics_or_recipe_are_refused(altered):
    for metrics in (None, {}):
        with pytest.raises(BadFile, match=r"the metadata of .*altered\.safetensors has no metrics") as refused:
            evaluate(altered(metrics=metrics), tiny.catalog(), [], tolerance=0)
        assert (refused.value.hint or "").startswith("It has: model 'line'")
    for recipe in (None, {}):
        with pytest.raises(BadFile, match=r"the metadata of .*altered\.safetensors has no recipe"):
            evaluate(altered(recipe=recipe), tiny.catalog(), [], tolerance=0)


def test_a_reproduced_run_has_exactly_the_same_metrics_and_weights(run, tmp_path):
    again, comparison = reproduce(run, tiny.catalog(), [], tolerance=0, folder=tmp_path / "again")
    assert comparison.match
    assert comparison.measured == comparison.expected
    assert (again.path, again.settings.seed, again.step) == (tmp_path / "again", 3, 12)
    ours, theirs = read_tensors(run / "model.safetensors"), read_tensors(tmp_path / "again" / "model.safetensors")
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_a_run_reproduced_with_other_settings_has_other_metrics(run, tmp_path):
    words = ["trainer.learning_rate=0.2", "run.steps=4"]
    again, comparison = reproduce(run, tiny.catalog(), words, tolerance=1e-6, folder=tmp_path / "again")
    assert (comparison.same_data, comparison.mismatches) == (True, ["error"])
    assert again.step == 4


def test_published_weights_are_evaluated_by_name(run, listed):
    assert evaluate("my-line", listed(run / "model.safetensors"), [], tolerance=0).match


def test_model_settings_cannot_be_overridden_in_an_evaluation(run):
    with pytest.raises(BadSetting, match=r"'model\.inputs=4' does not apply: the weights fix the model's settings"):
        evaluate(run, tiny.catalog(), ["model.inputs=4"], 0.01)
