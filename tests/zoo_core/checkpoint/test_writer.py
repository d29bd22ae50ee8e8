"""Checkpoints beside the training: nothing waits for the disk, nothing is lost with it."""

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


def test_what_is_written_is_what_it_was_when_the_saving_began(tmp_path):
    tensor = torch.arange(200_000.0)
    with AsyncCheckpointWriter(tmp_path, keep=1) as saver:
        saver.begin(1, {"held": pack({"value": tensor})})
        tensor.fill_(-1)
        saved = saver.settled()
    assert saved is not None
    assert saved.path == tmp_path / "step-000000001"
    assert torch.equal(checkpoint.load(saved.path)[1]["held"][0]["value"], torch.arange(200_000.0))


def test_the_writing_is_done_in_another_thread_and_here_where_memory_has_no_room(tmp_path, monkeypatch):
    threads = []
    write = checkpoint.save

    def noting(*arguments):
        threads.append(threading.current_thread())
        return write(*arguments)

    monkeypatch.setattr(checkpoint, "save", noting)
    captured = {"held": pack(torch.zeros(2**20))}
    with AsyncCheckpointWriter(tmp_path, keep=2) as saver:
        saver.begin(1, captured)
        saver.settled()
        memory = psutil.virtual_memory()
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=2**22))
        saver.begin(2, captured)
        assert saver.done
        assert saver.settled().path.is_dir()
    assert threads[0] is not threading.main_thread()
    assert threads[1] is threading.main_thread()


def test_leaving_the_block_waits_for_what_is_being_written(tmp_path):
    def fail_while_saving():
        with AsyncCheckpointWriter(tmp_path, keep=1) as saver:
            saver.begin(3, {"held": pack(torch.zeros(3_000_000))})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_saving()
    assert checkpoint.load(tmp_path / "step-000000003")[0] == 3


class InTheWay:
    """Puts a file where the checkpoints' folder is, when the first is written, and takes it away at a step."""

    def __init__(self, run_folder, stop=10**9):
        self.folder, self.stop = run_folder / "checkpoints", stop
        self.aside = run_folder / "aside"

    @zoo.hookimpl
    def zoo_checkpoint_saved(self, step):
        if step == 10:
            self.folder.rename(self.aside)
            self.folder.write_text("")

    @zoo.hookimpl
    def zoo_step_finished(self, step):
        if step > 20:
            time.sleep(0.05)  # the other thread should have tried before it is taken away
        if step == self.stop:
            self.folder.unlink()
            self.aside.rename(self.folder)


def test_a_checkpoint_that_can_not_be_written_is_said_and_the_next_is_tried(tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    tiny.train(whole)
    with pytest.warns(UserWarning, match="step 20 could not be written to .*The training continues"):
        tiny.train(folder, callbacks=(InTheWay(folder, 25),))
    assert steps(folder) == [10, 30]
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_run_that_can_not_save_at_its_end_fails_and_keeps_the_last_good_checkpoint(tmp_path):
    folder = tmp_path / "run"
    with (
        pytest.warns(UserWarning, match="step 20 could not be written"),
        pytest.raises(RunFailed, match="step 30 could not be written") as error,
    ):
        tiny.train(folder, callbacks=(InTheWay(folder),))
    assert error.value.exit_code == 1
    assert "--resume" in str(error.value.hint)
    assert checkpoint.load_newest(folder / "aside")[0] == 10


def test_a_folder_that_vanishes_is_said(tmp_path):
    class Vanish:
        @zoo.hookimpl
        def zoo_checkpoint_saved(self):
            (tmp_path / "run").rename(tmp_path / "elsewhere")

    here = tiny.catalog()
    with (
        pytest.warns(UserWarning, match="step 20 could not be written"),
        pytest.raises(RunFailed, match="No such file or directory"),
    ):
        run_recipe(resolve(tiny.RECIPE, here), [Vanish()], tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert checkpoint.load_newest(tmp_path / "elsewhere" / "checkpoints")[0] == 10


def test_lines_of_metrics_that_can_not_be_written_come_with_the_next(tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    tiny.train(whole)

    class Blocked:
        @zoo.hookimpl
        def zoo_step_finished(self, step):
            if step == 8:
                (folder / "metrics.jsonl").rename(folder / "lines")
                (folder / "metrics.jsonl").mkdir()
            if step == 17:
                (folder / "metrics.jsonl").rmdir()
                (folder / "lines").rename(folder / "metrics.jsonl")

    with pytest.warns(UserWarning, match=r"metrics.jsonl can't be written: Is a directory. It lacks 1 lines"):
        tiny.train(folder, callbacks=(Blocked(),))
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


class Figures(tiny.LineTrainer):
    """Its figure is the best in the middle."""

    def evaluate(self, batches, train_batches):
        return {"error": abs(self.done - 14.0), "score": -abs(self.done - 14.0)}


class WithFigures:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.trainer("figures", f"{__name__}:Figures", summary="Its best is in the middle")


def train_with_figures(folder, *words, callbacks=(), resume=False):
    here = tiny.catalog()
    here.plugins.add("figures", WithFigures())
    recipe = tiny.RECIPE.with_overrides(["run.device=cpu", "trainer.name=figures", "run.evaluate_every=7", *words])
    return run_recipe(resolve(recipe, here), callbacks, folder, resume)


@pytest.mark.parametrize("best", ["score", "-error"])
def test_the_best_checkpoint_by_a_figure_is_kept_however_old(tmp_path, best):
    train_with_figures(tmp_path / "run", f"run.monitor={best}", "run.keep_checkpoints=1")
    assert steps(tmp_path / "run") == [14, 30]


def test_a_resumed_run_remembers_which_was_the_best(tmp_path):
    words = ("run.monitor=score", "run.keep_checkpoints=1")
    train_with_figures(tmp_path / "run", *words, callbacks=(tiny.Watcher(stop_at=18),))
    train_with_figures(tmp_path / "run", *words, resume=True)
    assert steps(tmp_path / "run") == [14, 30]


def test_a_figure_that_is_none_is_the_users_mistake(tmp_path):
    with pytest.raises(BadSetting, match="there is no metric 'scoer'") as error:
        train_with_figures(tmp_path / "run", "run.monitor=scoer")
    assert error.value.hint == "Did you mean 'score'?"


def test_checkpoints_come_by_the_minute_too(tmp_path):
    watcher = tiny.Watcher()
    tiny.train(tmp_path / "run", "run.checkpoint_every=0", "run.checkpoint_minutes=0.000001", callbacks=(watcher,))
    assert [heard for heard in watcher.heard if heard.startswith("saved")] == [f"saved {n}" for n in range(1, 31)]


def test_what_a_checkpoint_says_is_json_with_a_format(tmp_path):
    tiny.train(tmp_path / "run")
    state = json.loads((tmp_path / "run" / "checkpoints" / "step-000000030" / "state.json").read_text())
    assert (state["format"], state["step"]) == (1, 30)
    assert set(state["files"]) <= set(state["held"])
