"""Whether weights hold what they promise: every figure measured again, or the whole training repeated."""

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
    """A way to write the run's weights with another story."""

    def altered(**changes):
        path = run / "model.safetensors"
        metadata = {key: value for key, value in {**read_header(path).metadata, **changes}.items() if value is not None}
        write(tmp_path / "altered.safetensors", read_tensors(path), metadata)
        return tmp_path / "altered.safetensors"

    return altered


def figures_of(path):
    return read_header(path).metadata["metrics"]


def test_figures_measured_again_agree_to_the_last_digit(run):
    comparison = evaluate(run, tiny.catalog(), [], tolerance=0)
    assert comparison.broadcast_first
    assert comparison.found == comparison.stated == figures_of(run / "model.safetensors")
    assert comparison.stated.keys() == {"error", "error/points"}
    assert (comparison.differing, comparison.same_data) == ([], True)


def test_measuring_writes_nothing_and_calls_no_hooks(run, tmp_path, monkeypatch):
    class Alarm:
        @zoo.hookimpl
        def zoo_run_started(self):
            raise AssertionError("this is no run")

        @zoo.hookimpl
        def zoo_evaluated(self):
            raise AssertionError("this is no run")

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
def test_a_figure_that_was_altered_is_found_out(run, altered, name):
    stated = figures_of(run / "model.safetensors")
    comparison = evaluate(altered(metrics={**stated, name: stated[name] * 0.9}), tiny.catalog(), [], tolerance=0.01)
    assert not comparison.broadcast_first
    assert comparison.differing == [name]
    (row,) = [row for row in comparison.rows() if not row["agrees"]]
    assert row == {"metric": name, "stated": stated[name] * 0.9, "found": stated[name], "agrees": False}


def test_a_figure_that_is_not_found_any_more_does_not_agree(run, altered):
    stated = figures_of(run / "model.safetensors")
    comparison = evaluate(altered(metrics={**stated, "beauty": 1.0}), tiny.catalog(), [], tolerance=1)
    assert comparison.differing == ["beauty"]
    assert {"metric": "beauty", "stated": 1.0, "found": None, "agrees": False} in comparison.rows()


def test_weights_that_are_not_those_that_were_measured_are_found_out(run, tmp_path):
    path = run / "model.safetensors"
    tensors = read_tensors(path)
    tensors["layers.2.bias"] = tensors["layers.2.bias"] + 1
    write(tmp_path / "other.safetensors", tensors, read_header(path).metadata)
    assert evaluate(tmp_path / "other.safetensors", tiny.catalog(), [], tolerance=0.05).differing == ["error"]


def test_other_data_are_said_and_agree_with_nothing(run):
    comparison = evaluate(run, tiny.catalog(), ["dataset.count=40"], tolerance=0.01)
    assert not comparison.same_data
    assert not comparison.broadcast_first
    assert comparison.differing == []  # the evaluation examples happen to be the same


def test_a_tolerance_is_a_share_of_the_figure():
    found = Comparison({"a": 100.0, "b": 0.0}, {"a": 101.0, "b": 0.0}, 0.02, True)
    assert found.broadcast_first
    assert Comparison({"a": 100.0}, {"a": 103.0}, 0.02, True).differing == ["a"]
    assert Comparison({"b": 0.0}, {"b": 0.001}, 0.02, True).differing == ["b"]
    assert Comparison({"a": 1.0}, {"a": float("nan")}, 0.02, True).differing == ["a"]
    assert not Comparison({}, {"a": 1.0}, 0.02, True).broadcast_first


def test_a_data_sets_warning_is_passed_on(altered, run):
    recipe = json.loads(json.dumps(read_header(run / "model.safetensors").metadata["recipe"]))
    recipe["dataset"]["warn"] = True
    with pytest.warns(UserWarning, match="these are not the real points"):
        evaluate(altered(recipe=recipe), tiny.catalog(), [], tolerance=0)


def test_weights_that_state_no_figures_or_no_recipe_say_so(altered):
    for metrics in (None, {}):
        with pytest.raises(BadFile, match=r"altered\.safetensors states no figures") as refused:
            evaluate(altered(metrics=metrics), tiny.catalog(), [], tolerance=0)
        assert (refused.value.hint or "").startswith("It says: model 'line'")
    for recipe in (None, {}):
        with pytest.raises(BadFile, match=r"altered\.safetensors does not say which recipe"):
            evaluate(altered(recipe=recipe), tiny.catalog(), [], tolerance=0)


def test_trained_again_with_the_same_seed_the_figures_agree_exactly(run, tmp_path):
    again, comparison = reproduce(run, tiny.catalog(), [], tolerance=0, folder=tmp_path / "again")
    assert comparison.broadcast_first
    assert comparison.found == comparison.stated
    assert (again.path, again.settings.seed, again.step) == (tmp_path / "again", 3, 12)
    ours, theirs = read_tensors(run / "model.safetensors"), read_tensors(tmp_path / "again" / "model.safetensors")
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_trained_with_another_setting_the_figures_differ(run, tmp_path):
    words = ["trainer.learning_rate=0.2", "run.steps=4"]
    again, comparison = reproduce(run, tiny.catalog(), words, tolerance=1e-6, folder=tmp_path / "again")
    assert (comparison.same_data, comparison.differing) == (True, ["error"])
    assert again.step == 4


def test_published_weights_are_measured_by_their_name(run, listed):
    assert evaluate("my-line", listed(run / "model.safetensors"), [], tolerance=0).broadcast_first


def test_weights_are_not_measured_as_those_of_another_model(run):
    with pytest.raises(BadSetting, match=r"'model\.inputs=4' would be another model than these weights are of"):
        evaluate(run, tiny.catalog(), ["model.inputs=4"], 0.01)
