"""Resumed runs: which settings may change, the lock of the folder, and time limits."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
import torch
from repository import ROOT
from warm_python import PYTHON

import zoo_core as zoo
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.errors import BadSetting, NameTaken
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.resume_changes import changed_origins, changes, refuse_other_origins
from zoo_core.training.runner import run_recipe
from zoo_core.weights.format import read_tensors
from zoo_core.weights.header import read_header


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
        command = [PYTHON, "-m", "zoo_core", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)

    words = ["run", "digit-classifier-mnist", "dataset.source=subset", "run.batch_size=8"]
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


class Changing(zoo.Dataset):
    """Its examples follow from the number in a file."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        file: str = zoo.setting(help="the file")

    config: Config

    def train(self):
        point = torch.linspace(-1, 1, 60).view(20, 3) * float(Path(self.config.file).read_text())
        return zoo.InMemory(point=point, height=point.sum(dim=1))

    def test(self):
        return self.train()


def on_changing_data(folder, file, resume=False, **options):
    catalog = tiny.catalog()

    class Plugin:
        @zoo.hookimpl
        def zoo_register(self, registry):
            registry.dataset("changing", f"{__name__}:Changing", summary="Examples from a file")

    catalog.plugins.add("changing", Plugin())
    words = ["run.device=cpu", "run.steps=8", "dataset.name=changing", f"dataset.file={file}"]
    recipe = read_config(folder / "config.yaml") if resume else tiny.RECIPE.with_overrides(words)
    callbacks = () if resume else (tiny.Watcher(stop_at=4),)
    return run_recipe(resolve(recipe, catalog), callbacks, folder, resume, **options)


def test_other_data_are_refused_with_both_fingerprints_and_accepted_where_that_is_allowed(tmp_path):
    file, run = tmp_path / "factor", tmp_path / "run"
    file.write_text("1")
    on_changing_data(run, file)
    old = json.loads((run / "environment.json").read_text())["data"]["fingerprint"]
    file.write_text("2")
    with pytest.raises(BadSetting, match=f"their fingerprint was {old} and is now") as refused:
        on_changing_data(run, file, resume=True)
    assert "--allow-changed-data" in (refused.value.hint or "")
    with pytest.warns(UserWarning, match="may differ from an uninterrupted one in everything that depends on the data"):
        on_changing_data(run, file, resume=True, allow_changed_data=True)
    environment = json.loads((run / "environment.json").read_text())
    (change,) = environment["changed"]
    new = environment["data"]["fingerprint"]
    assert change == {"step": 4, "data.fingerprint": [old, new]}
    metadata = read_header(run / "model.safetensors").metadata
    assert metadata["dataset"] == new
    assert metadata["changed"] == [change]


def test_unchanged_data_are_not_mentioned(tmp_path):
    (tmp_path / "factor").write_text("1")
    on_changing_data(tmp_path / "run", tmp_path / "factor")
    on_changing_data(tmp_path / "run", tmp_path / "factor", resume=True)
    assert "changed" not in json.loads((tmp_path / "run" / "environment.json").read_text())


RECORDED = {
    "data": {"fingerprint": "a"},
    "plugins": {"kit": "zoo-kit 1.0", "other": "zoo-other 1.0"},
    "versions": {"torch": "2.9.0", "numpy": "2.0"},
    "device": {"type": "cpu", "name": "x86_64", "threads": 2},
    "processes": 1,
}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"plugins": {"kit": "zoo-kit 1.1", "other": "zoo-other 2"}}, {"plugins.kit": ("zoo-kit 1.0", "zoo-kit 1.1")}),
        ({"versions": {"torch": "2.10.0", "numpy": "2.0"}}, {"versions.torch": ("2.9.0", "2.10.0")}),
        ({"device": {"type": "cuda", "name": "x86_64", "threads": 2}}, {"device.type": ("cpu", "cuda")}),
        ({"device": {"type": "cpu", "name": "x86_64", "threads": 8}}, {"device.threads": ("2", "8")}),
        ({"processes": 2}, {"processes": ("1", "2")}),
        ({}, {}),
    ],
)
def test_changed_code_versions_and_machines_are_found(now, expected):
    assert changed_origins(RECORDED, {**RECORDED, **now}, {"kit"}, ()) == expected


def test_what_follows_from_a_changed_setting_is_not_named_twice():
    now = {**RECORDED, "device": {"type": "cpu", "name": "x86_64", "threads": 8}}
    assert changed_origins(RECORDED, now, (), {"run.threads"}) == {}


def test_what_an_older_run_has_not_recorded_is_not_compared():
    assert changed_origins({}, RECORDED, {"kit"}, ()) == {}


def test_changed_code_is_refused_unless_it_is_allowed():
    changed = {"plugins.kit": ("zoo-kit 1.0", "zoo-kit 1.1")}
    with pytest.raises(
        BadSetting, match=r"plugin 'kit' has changed: it was zoo-kit 1.0 and is now zoo-kit 1.1"
    ) as error:
        refuse_other_origins(changed, Path("runs/a"), data=True, code=False)
    assert "zoo run --resume runs/a --allow-changed-data --allow-changed-code" in (error.value.hint or "")
    refuse_other_origins(changed, Path("runs/a"), data=False, code=True)


def test_the_command_that_continues_anyway_has_the_settings_that_were_given():
    changed = {"run.steps": ("30", "40"), "run.monitor": ("''", "'-an error'"), "data.fingerprint": ("a", "b")}
    with pytest.raises(BadSetting) as error:
        refuse_other_origins(changed, Path("runs/a"), data=False, code=False)
    command = (error.value.hint or "").partition("continue anyway: ")[2]
    expected = ["zoo", "run", "--resume", "runs/a", "--allow-changed-data", "run.steps=40", "run.monitor='-an error'"]
    assert shlex.split(command) == expected


def test_fewer_steps_than_are_done_are_refused(stopped):
    with pytest.raises(BadSetting, match="is at step 12 already, but should have only 3 steps") as error:
        resume_with(stopped, "run.steps=3")
    assert "run.steps=12" in (error.value.hint or "")
    with pytest.warns(UserWarning, match=r"run\.steps is now 12"):
        assert resume_with(stopped, "run.steps=12").step == 12


def test_a_changed_plugin_file_is_noticed_on_the_command_line(tmp_path):
    source = (ROOT / "tests" / "helpers" / "recording_plugin.py").read_text()
    (tmp_path / "kit.py").write_text(source)
    base = [PYTHON, "-m", "zoo_core", "--plugin", "kit.py", "run"]
    command = [*base, "one", "--folder", "r", "--time-limit", "1s", "run.steps=100000", "run.device=cpu"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 124, first.stderr
    (tmp_path / "kit.py").write_text(source + "\n# another line\n")
    refused = subprocess.run([*base, "--resume", "r"], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "the code of the plugin 'kit' has changed: it was your file, sha256" in refused.stderr
    accepted = [*base, "--resume", "r", "--allow-changed-code", "--time-limit", "1s"]
    assert subprocess.run(accepted, cwd=tmp_path, capture_output=True).returncode == 124
