"""A run whose monitored metric no longer improves is finished, and resumes as if it had not been interrupted."""

import json

import pytest
import tiny
from scored import train

import zoo_core as zoo


@pytest.mark.parametrize(
    ("words", "last", "best"),
    [
        (["run.monitor=accuracy", "run.patience=2"], 13, 8),
        (["run.monitor=-error", "run.patience=2"], 13, 8),
        (["run.monitor=accuracy", "run.patience=1"], 11, 8),
        (["run.monitor=accuracy", "run.patience=3"], 21, 14),
        (["run.monitor=accuracy", "run.patience=2", "run.min_delta=0.05"], 11, 8),
        (["run.monitor=accuracy", "run.patience=1", "run.min_delta=0.6"], 5, 4),
        (["run.monitor=accuracy", "run.patience=100"], 40, 14),
        (["run.monitor=accuracy"], 40, 14),
    ],
)
def test_it_ends_one_step_after_the_last_evaluation_that_was_waited_for(tmp_path, words, last, best):
    run = train(tmp_path / "run", *words)
    assert run.step == run.total_steps == last
    assert bool(run.finishing) == (last < 40)
    assert (tmp_path / "run" / "checkpoints" / f"step-{best:09d}").is_dir()
    assert run.test_metrics


def test_the_reason_names_the_metric_the_evaluations_and_the_best_step(tmp_path):
    run = train(tmp_path / "run", "run.monitor=accuracy", "run.patience=2")
    assert run.finishing == "accuracy has not improved in 2 evaluations, the best is 0.61 of step 8"
    (session,) = json.loads((tmp_path / "run" / "sessions.json").read_text())
    assert session["ended"] == f"done: {run.finishing}"


def test_a_metric_that_is_not_a_number_is_no_improvement(tmp_path):
    never = "trainer.accuracies=[-1, -1, -1, -1]"
    with pytest.warns(UserWarning, match="accuracy is nan"):
        run = train(tmp_path / "run", "run.monitor=accuracy", "run.patience=2", never)
    assert (run.step, run.finishing) == (5, "accuracy has not improved in 2 evaluations")


def test_patience_that_ends_with_the_last_step_finishes_nothing(tmp_path):
    run = train(tmp_path / "run", "run.monitor=accuracy", "run.patience=2", "run.steps=12")
    assert (run.step, run.finishing) == (12, "")


@pytest.mark.parametrize("stop", range(1, 14))
def test_a_run_resumes_with_its_count_wherever_it_was_stopped(tmp_path, stop):
    words = ("run.monitor=accuracy", "run.patience=2", "run.checkpoint_every=3")
    whole = train(tmp_path / "whole", *words)
    train(tmp_path / "run", *words, callbacks=(tiny.Watcher(stop_at=stop),))
    resumed = train(tmp_path / "run", *words, resume=True)
    assert (resumed.step, resumed.finishing) == (whole.step, whole.finishing) == (13, whole.finishing)
    for file in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def test_a_run_that_is_done_is_evaluated_again_and_goes_on_with_more_patience(tmp_path):
    words = ("run.monitor=accuracy", "run.patience=2")
    train(tmp_path / "run", *words)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert train(tmp_path / "run", *words, resume=True).step == 13
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == lines
    run = train(tmp_path / "run", "run.monitor=accuracy", "run.patience=3", resume=True)
    assert (run.step, run.finishing) == (21, "accuracy has not improved in 3 evaluations, the best is 0.9 of step 14")
    assert train(tmp_path / "run", "run.monitor=accuracy", "run.patience=0", resume=True).step == 40


def test_a_checkpoint_of_a_run_that_monitored_nothing_resumes_with_patience(tmp_path):
    train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=4),))
    run = train(tmp_path / "run", "run.monitor=accuracy", "run.patience=2", resume=True)
    assert run.step == 13


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["run.patience=3"], "run.patience is 3, but run.monitor names no metric", "`run.monitor=accuracy`"),
        (
            ["run.patience=3", "run.evaluate_every=0"],
            "run.patience is 3, but run.monitor names no metric",
            "`run.monitor=accuracy run.evaluate_every=1000`",
        ),
        (
            ["run.patience=3", "run.monitor=accuracy", "run.evaluate_every=0"],
            "run.evaluate_every is 0",
            "`run.evaluate_every=1000`",
        ),
        (
            ["run.monitor=accuracy", "run.min_delta=0.1"],
            "run.min_delta is 0.1, but run.patience is 0",
            "run.patience=3",
        ),
        (["run.monitor='-'"], "run.monitor is '-', without the name of a metric", "`run.monitor=-mse`"),
        (["run.monitor=accuracy", "run.patience=-1"], "run.patience is -1, but should be at least 0", "default, 0"),
        (["run.monitor=accuracy", "run.patience=2", "run.min_delta=-1"], "run.min_delta is -1", "default, 0.0"),
        (["run.monitor=accuracy", "run.patience=2", "run.min_delta=.inf"], "should be finite", "default, 0.0"),
    ],
)
def test_settings_that_contradict_are_refused_with_what_to_write(tmp_path, words, message, hint):
    with pytest.raises(zoo.BadSetting) as error:
        train(tmp_path / "run", *words)
    assert message in error.value.message
    assert hint in (error.value.hint or "")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_resumed_with_another_metric_compares_with_values_of_that_metric(tmp_path):
    words = ("run.monitor=accuracy", "run.patience=3")
    train(tmp_path / "run", *words, callbacks=[tiny.Watcher(stop_at=9)])  # the best accuracy is 0.61
    run = train(tmp_path / "run", "run.monitor=-error", "run.patience=3", resume=True)
    # From step 10 the errors are 0.4, 0.5, 0.1 and 0.8, 0.8, 0.8.
    assert (run.step, run.finishing) == (21, "error has not improved in 3 evaluations, the best is 0.1 of step 14")
    other = train(tmp_path / "other", *words, callbacks=[tiny.Watcher(stop_at=15)])
    assert other.step == 15
    run = train(tmp_path / "other", "run.monitor=error", "run.patience=2", resume=True)
    assert (run.step, run.finishing) == (21, "error has not improved in 2 evaluations, the best is 0.8 of step 16")
