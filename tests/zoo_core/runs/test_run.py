"""Why a run ends, as text for people and as a number for its processes."""

import pytest
import tiny

from zoo_core.runs.run import TIME_LIMIT, StopCode


@pytest.fixture
def run(tmp_path):
    return tiny.train(tmp_path / "run", "run.steps=2")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("SIGINT", StopCode.SIGINT),
        ("SIGTERM", StopCode.SIGTERM),
        ("SIGHUP", StopCode.SIGHUP),
        (TIME_LIMIT, StopCode.TIME_LIMIT),
        ("a hook's own words, however long and in any language: ünterbrochen", StopCode.STOPPED),
    ],
)
def test_a_reason_to_stop_has_a_number(run, reason, code):
    run.stop(reason)
    assert run.stop_code is code


def test_a_run_that_goes_on_has_the_number_zero(run):
    assert run.stop_code == 0


def test_a_stop_takes_precedence_over_a_finish(run):
    run.finish("the loss no longer falls")
    assert run.stop_code is StopCode.FINISHED
    run.stop("SIGTERM")
    assert run.stop_code is StopCode.SIGTERM


def test_a_code_of_another_process_ends_the_run_for_the_same_reason(run):
    run.apply(StopCode.SIGTERM)
    assert run.stopping == "SIGTERM"


def test_a_code_does_not_replace_a_reason_that_is_known(run):
    run.stop("the validation loss is too high")
    run.apply(StopCode.STOPPED)
    assert run.stopping == "the validation loss is too high"


def test_the_result_names_the_metrics_of_each_split(tmp_path):
    run = tiny.train(tmp_path / "other", "run.steps=2", "run.evaluate_every=1")
    result = run.result()
    assert result["test_metrics"].keys() == result["validation_metrics"].keys() == {"error", "error/points"}
    assert "loss" in result["train_metrics"]
