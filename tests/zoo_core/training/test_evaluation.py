"""Evaluation on the validation and test splits."""

import tiny

import zoo_core as zoo


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
