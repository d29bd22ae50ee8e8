"""What is reported to callbacks: at once on a CPU, and some steps later where the device runs ahead."""

import json
import os
import signal
from functools import partial

import pytest
import tiny

import zoo_core as zoo
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.errors import RunFailed
from zoo_core.training.reports import LATER, Reports

LONG = ("run.steps=150", "run.checkpoint_every=70", "run.evaluate_every=60", "run.preview_every=50", "run.log_every=10")


class Recorder:
    """Notes each call of a hook, with the step that it is of and that of the run."""

    def __init__(self):
        self.calls = []

    @zoo.hookimpl
    def zoo_logged(self, run, step, metrics):
        self.calls.append(("logged", step, run.step))

    @zoo.hookimpl
    def zoo_preview(self, run, step):
        self.calls.append(("preview", step, run.step))

    @zoo.hookimpl
    def zoo_evaluated(self, run, step):
        self.calls.append(("evaluated", step, run.step))

    @zoo.hookimpl
    def zoo_checkpoint_saved(self, run, step):
        self.calls.append(("saved", step, run.step))


@pytest.fixture
def ahead(monkeypatch):
    """Reports as on an accelerator, whose steps come out the same on the CPU."""
    monkeypatch.setattr(AccelerateEngine, "runs_ahead", True)


def files_of(folder):
    """What a run leaves, without what names times."""
    kept = {path.name: path.read_bytes() for path in [folder / "model.safetensors", *folder.glob("previews/*")]}
    return {**kept, "metrics": (folder / "metrics.jsonl").read_text()}


@pytest.mark.parametrize(("later", "added", "due"), [(0, [1, 2, 3], [1, 2, 3]), (2, [1], [1, 2])])
def test_each_report_is_called_once_in_order_and_later_only_if_that_is_asked_for(later, added, due):
    reports, called = Reports(later), []
    for step in (1, 2, 3):
        reports.add(step, partial(called.append, step))
        reports.call_due(step)
    assert called == added
    reports.call_due(4)
    assert called == due
    reports.call_all()
    reports.call_all()
    assert called == [1, 2, 3]


def test_on_a_cpu_every_hook_is_called_at_its_step(tmp_path):
    recorder = Recorder()
    tiny.train(tmp_path / "run", *LONG, callbacks=[recorder])
    assert all(step == now for kind, step, now in recorder.calls if kind != "saved")


def test_a_device_that_runs_ahead_leaves_the_same_files(tmp_path, monkeypatch):
    tiny.train(tmp_path / "plain", *LONG)
    monkeypatch.setattr(AccelerateEngine, "runs_ahead", True)
    tiny.train(tmp_path / "ahead", *LONG)
    assert files_of(tmp_path / "ahead") == files_of(tmp_path / "plain")


def test_reports_come_later_but_before_evaluations_and_checkpoints_of_later_steps(ahead, tmp_path):
    recorder = Recorder()
    tiny.train(tmp_path / "run", *LONG, "run.log_every=50", callbacks=[recorder])
    ours = [call for call in recorder.calls if call[0] != "saved"]
    assert ours == [
        ("logged", 50, 60),
        ("preview", 50, 60),
        ("evaluated", 60, 60),
        ("logged", 100, 120),
        ("preview", 100, 120),
        ("evaluated", 120, 120),
        ("logged", 150, 150),
        ("preview", 150, 150),
        ("evaluated", 150, 150),
    ]
    later = Recorder()
    tiny.train(tmp_path / "other", "run.steps=150", "run.log_every=50", "run.checkpoint_every=0", callbacks=[later])
    assert ("logged", 50, 50 + LATER) in later.calls


def test_a_value_that_is_not_finite_is_found_and_no_checkpoint_is_written_after_it(ahead, tmp_path):
    with pytest.raises(RunFailed, match="loss is nan at step 83"):
        tiny.train(tmp_path / "run", *LONG, "trainer.nan_at=83", "run.checkpoint_every=20")
    assert max(int(path.name.split("-")[1]) for path in (tmp_path / "run" / "checkpoints").iterdir()) == 80
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 80


def test_what_was_computed_before_an_error_is_reported(ahead, tmp_path):
    recorder = Recorder()
    with pytest.raises(RunFailed, match="this trainer fails"):
        tiny.train(tmp_path / "run", *LONG, "run.evaluate_every=0", "trainer.raise_at=53", callbacks=[recorder])
    assert [call[:2] for call in recorder.calls][-2:] == [("logged", 50), ("preview", 50)]


def test_a_run_that_is_stopped_and_resumed_has_the_metrics_of_one_that_was_not(ahead, tmp_path):
    class Stops:
        @zoo.hookimpl
        def zoo_step_finished(self, run, step):
            if step == 65:
                os.kill(os.getpid(), signal.SIGTERM)

    tiny.train(tmp_path / "whole", *LONG)
    tiny.train(tmp_path / "run", *LONG, callbacks=[Stops()])
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines][-2:] == [60, 60]  # metrics and evaluation
    tiny.resume(tmp_path / "run")
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")
