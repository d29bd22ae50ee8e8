"""Resumed runs: which settings may change, the lock of the folder, and time limits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import tiny
import torch

from zoo_core.config.recipe import Recipe, read_config
from zoo_core.errors import BadSetting, NameTaken
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.resume_changes import changes
from zoo_core.training.runner import run_recipe
from zoo_core.weights.format import read_tensors


def resume_with(folder, *overrides):
    catalog = tiny.catalog()
    changed = resolve(read_config(folder / "config.yaml"), catalog).recipe.with_overrides(overrides)
    return run_recipe(resolve(changed, catalog), (), folder, resume=True)


@pytest.fixture
def stopped(tmp_path):
    tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=12),))
    return tmp_path / "run"


def test_changed_settings_are_refused_with_both_values_and_no_file_is_modified(stopped):
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    with pytest.raises(BadSetting, match=r"trainer.learning_rate was 0.01 and is now 0.5") as error:
        resume_with(stopped, "trainer.learning_rate=0.5", "dataset.count=40")
    assert "dataset.count was 50 and is now 40" in error.value.message
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before


def test_for_another_model_the_message_contains_its_name_but_not_its_settings():
    was = Recipe("r", {"model": {"name": "a", "width": 3}, "trainer": {"rate": 1}, "dataset": {}, "run": {"seed": 0}})
    now = Recipe("r", {"model": {"name": "b", "depth": 3}, "trainer": {"rate": 2}, "dataset": {}, "run": {"seed": 0}})
    with pytest.raises(BadSetting) as error:
        changes(was, now)
    assert "model.name was 'a' and is now 'b'; trainer.rate was 1 and is now 2." in error.value.message
    assert "width" not in error.value.message


def test_logging_and_checkpoint_intervals_may_change_without_changing_the_weights(stopped, tmp_path):
    tiny.train(tmp_path / "whole")
    resume_with(stopped, "run.log_every=3", "run.checkpoint_every=4", "run.keep_checkpoints=9")
    weights, expected = (read_tensors(run / "model.safetensors") for run in (stopped, tmp_path / "whole"))
    for name, tensor in expected.items():
        assert torch.equal(weights[name], tensor), name
    (change,) = json.loads((stopped / "environment.json").read_text())["changed"]
    assert change == {
        "step": 12,
        "run.checkpoint_every": ["10", "4"],
        "run.keep_checkpoints": ["2", "9"],
        "run.log_every": ["5", "3"],
    }
    assert read_config(stopped / "config.yaml").values["run"]["log_every"] == 3


def test_the_number_of_steps_may_change_with_a_warning_about_exactness(stopped):
    with pytest.warns(UserWarning, match="run.steps is now 40 .was 30.: from now on, the run may differ"):
        run = resume_with(stopped, "run.steps=40")
    assert run.step == 40


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(tmp_path):
    tiny.train(tmp_path / "whole")
    tiny.train(tmp_path / "run", "run.checkpoint_every=0", callbacks=(tiny.Watcher(stop_at=3),))
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.rename(tmp_path / path.name)
    with pytest.warns(UserWarning, match="holds no checkpoint yet, so the run starts again at step 0"):
        tiny.resume(tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_two_processes_cannot_train_in_one_folder_and_a_killed_one_leaves_no_lock(stopped):
    hold = (
        "import sys, time; from pathlib import Path; from zoo_core.runs.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked():\n    print('held', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(stopped)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(NameTaken, match="another process is training in"):
            tiny.resume(stopped)
        other.kill()
        other.wait()
    assert tiny.resume(stopped).step == 30
    with RunFolder(stopped).locked():
        pass


def test_a_run_stopped_by_a_time_limit_is_saved_and_can_be_resumed_as_the_last_run(tmp_path):
    def zoo(*arguments):
        command = [sys.executable, "-m", "zoo_core", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    words = ["run", "digit-classifier-mnist", "dataset.source=subset", "run.batch_size=8", "run.epochs=0.2"]
    done = zoo(*words, "run.steps=100000", "--time-limit", "3s")
    assert done.returncode == 124, done.stderr
    assert "stopped by the time limit at step" in done.stdout
    (run,) = (tmp_path / "runs" / "digit-classifier-mnist").iterdir()
    (step,) = [int(line.split("step ")[1].replace(",", "")) for line in done.stdout.splitlines() if "stopped" in line]
    assert (run / "checkpoints" / f"step-{step:09d}").is_dir()
    done = zoo("run", "--resume", "last", f"run.steps={step + 3}", "--time-limit", "10m")
    assert done.returncode == 0, done.stderr
    assert f"done, step {step + 3:,}" in done.stdout
    refused = zoo("run", "--resume", "last", "trainer.learning_rate=1.0")
    assert refused.returncode == 2
    assert "trainer.learning_rate was 0.004 and is now 1.0" in refused.stderr
