"""Checkpoints written in the background: training does not wait for the disk, and no checkpoint is lost."""

from __future__ import annotations

import json
import threading
import time

import psutil
import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.serialize import pack
from zoo_core.checkpoint.writer import AsyncCheckpointWriter
from zoo_core.errors import BadSetting, RunFailed
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe


def steps(folder):
    return sorted(int(path.name.removeprefix("step-")) for path in (folder / "checkpoints").glob("step-*"))


def test_the_state_at_the_time_of_the_call_is_written(tmp_path):
    tensor = torch.arange(200_000.0)
    with AsyncCheckpointWriter(tmp_path, keep=1) as writer:
        writer.begin(1, {"value": pack({"value": tensor})})
        tensor.fill_(-1)
        saved = writer.wait()
    assert saved is not None
    assert saved.path == tmp_path / "step-000000001"
    assert torch.equal(checkpoint.load(saved.path)[1]["value"][0]["value"], torch.arange(200_000.0))


def test_checkpoints_are_written_in_the_background_unless_memory_is_short(tmp_path, monkeypatch):
    threads = []
    write = checkpoint.save

    def record_thread(*arguments):
        threads.append(threading.current_thread())
        return write(*arguments)

    monkeypatch.setattr(checkpoint, "save", record_thread)
    state = {"value": pack(torch.zeros(2**20))}
    with AsyncCheckpointWriter(tmp_path, keep=2) as writer:
        writer.begin(1, state)
        writer.wait()
        memory = psutil.virtual_memory()
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=2**22))
        writer.begin(2, state)
        assert writer.done
        assert writer.wait().path.is_dir()
    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()


def test_leaving_the_context_waits_for_the_checkpoint(tmp_path):
    def fail_while_saving():
        with AsyncCheckpointWriter(tmp_path, keep=1) as writer:
            writer.begin(3, {"value": pack(torch.zeros(3_000_000))})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_saving()
    assert checkpoint.load(tmp_path / "step-000000003")[0] == 3


class BlockCheckpoints:
    """Replaces the checkpoint folder by a file after the first checkpoint, until step ``stop``."""

    def __init__(self, run_folder, stop=10**9):
        self.folder, self.stop = run_folder / "checkpoints", stop
        self.moved = run_folder / "moved"

    @zoo.hookimpl
    def zoo_checkpoint_saved(self, step):
        if step == 10:
            self.folder.rename(self.moved)
            self.folder.write_text("")

    @zoo.hookimpl
    def zoo_step_finished(self, step):
        if step > 20:
            time.sleep(0.05)  # the background thread should try before the folder is restored
        if step == self.stop:
            self.folder.unlink()
            self.moved.rename(self.folder)


def test_a_checkpoint_that_cannot_be_written_causes_a_warning_and_training_continues(tmp_path):
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "run"
    tiny.train(undisturbed)
    with pytest.warns(UserWarning, match="step 20 could not be written to .*The training continues"):
        tiny.train(folder, callbacks=(BlockCheckpoints(folder, 25),))
    assert steps(folder) == [10, 30]
    assert (folder / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()


def test_a_run_whose_last_checkpoint_cannot_be_written_fails_and_keeps_the_previous_one(tmp_path):
    folder = tmp_path / "run"
    with (
        pytest.warns(UserWarning, match="step 20 could not be written"),
        pytest.raises(RunFailed, match="step 30 could not be written") as error,
    ):
        tiny.train(folder, callbacks=(BlockCheckpoints(folder),))
    assert error.value.exit_code == 1
    assert "--resume" in str(error.value.hint)
    assert checkpoint.load_newest(folder / "moved")[0] == 10


def test_a_run_whose_folder_is_moved_goes_on_in_a_new_one(tmp_path):
    class MoveRunFolder:
        @zoo.hookimpl
        def zoo_checkpoint_saved(self, step):
            if step == 10:
                (tmp_path / "run").rename(tmp_path / "elsewhere")

    with pytest.warns(UserWarning, match="It is written again, so that the run can be resumed"):
        run_recipe(resolve(tiny.RECIPE, tiny.catalog()), [MoveRunFolder()], tmp_path / "run")
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints")[0] == 30
    assert checkpoint.load_newest(tmp_path / "elsewhere" / "checkpoints")[0] == 10


def test_metrics_that_cannot_be_written_are_written_later(tmp_path):
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "run"
    tiny.train(undisturbed)

    class BlockMetricsFile:
        @zoo.hookimpl
        def zoo_step_finished(self, step):
            if step == 8:
                (folder / "metrics.jsonl").rename(folder / "lines")
                (folder / "metrics.jsonl").mkdir()
            if step == 17:
                (folder / "metrics.jsonl").rmdir()
                (folder / "lines").rename(folder / "metrics.jsonl")

    with pytest.warns(UserWarning, match=r"metrics.jsonl can't be written: Is a directory; 1 lines are missing"):
        tiny.train(folder, callbacks=(BlockMetricsFile(),))
    assert (folder / "metrics.jsonl").read_bytes() == (undisturbed / "metrics.jsonl").read_bytes()


class PeakTrainer(tiny.LineTrainer):
    """Its metrics are best at step 14."""

    def evaluate(self, batches, train_batches):
        return {"error": abs(self.done - 14.0), "score": -abs(self.done - 14.0)}


class PeakPlugin:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.trainer("peak", f"{__name__}:PeakTrainer", summary="Best at step 14")


def train_with_metrics(folder, *words, callbacks=(), resume=False):
    here = tiny.catalog()
    here.plugins.add("peak", PeakPlugin())
    recipe = tiny.RECIPE.with_overrides(["run.device=cpu", "trainer.name=peak", "run.evaluate_every=7", *words])
    return run_recipe(resolve(recipe, here), callbacks, folder, resume)


@pytest.mark.parametrize("best", ["score", "-error"])
def test_the_best_checkpoint_by_the_monitored_metric_is_kept(tmp_path, best):
    train_with_metrics(tmp_path / "run", f"run.monitor={best}", "run.keep_checkpoints=1")
    assert steps(tmp_path / "run") == [14, 30]


def test_the_last_step_is_compared_as_well(tmp_path):
    train_with_metrics(tmp_path / "run", "run.steps=13", "run.evaluate_every=6", "run.monitor=score")
    _, state, *_ = checkpoint.load_newest(tmp_path / "run" / "checkpoints")
    assert state["run.best"][1] == {"step": 13, "value": -1.0, "monitor": "score"}


def test_a_monitored_metric_without_evaluations_is_refused(tmp_path):
    with pytest.raises(BadSetting, match=r"run\.monitor is 'score', but run\.evaluate_every is 0"):
        train_with_metrics(tmp_path / "run", "run.monitor=score", "run.evaluate_every=0")


def test_a_resumed_run_keeps_the_best_checkpoint(tmp_path):
    words = ("run.monitor=score", "run.keep_checkpoints=1")
    train_with_metrics(tmp_path / "run", *words, callbacks=(tiny.Watcher(stop_at=18),))
    train_with_metrics(tmp_path / "run", *words, resume=True)
    assert steps(tmp_path / "run") == [14, 30]


def test_an_unknown_metric_is_refused(tmp_path):
    with pytest.raises(BadSetting, match="there is no metric 'scoer'") as error:
        train_with_metrics(tmp_path / "run", "run.monitor=scoer")
    assert error.value.hint == "Did you mean 'score'?"


def test_checkpoints_are_also_written_by_time(tmp_path):
    watcher = tiny.Watcher()
    tiny.train(tmp_path / "run", "run.checkpoint_every=0", "run.checkpoint_minutes=0.000001", callbacks=(watcher,))
    assert [heard for heard in watcher.heard if heard.startswith("saved")] == [f"saved {n}" for n in range(1, 31)]


def test_the_state_file_has_a_format_version(tmp_path):
    tiny.train(tmp_path / "run")
    state = json.loads((tmp_path / "run" / "checkpoints" / "step-000000030" / "state.json").read_text())
    assert (state["format"], state["step"]) == (2, 30)
    assert set(state["files"]) <= set(state["held"])
