"""A recipe without a dataset: a policy for a bandit, trained by the rewards that it gets."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bandit_plugin
import pytest
import yaml

import zoo_core as zoo
from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.testing.collect import cases
from zoo_core.tools.verify_resume import compare
from zoo_core.training.runner import run_recipe
from zoo_core.training.standalone_evaluation import evaluate

COMMAND = [sys.executable, "-m", "zoo_core", "--plugin", bandit_plugin.__file__, "run"]


@pytest.fixture
def catalog() -> Catalog:
    here = Catalog(installed=False)
    here.plugins.add("bandit", bandit_plugin)
    return here


def resolved(catalog, *overrides):
    return resolve(catalog.recipe("bandit", "run.device=cpu", *overrides), catalog)


def test_the_policy_learns_is_evaluated_and_can_be_evaluated_again(catalog, tmp_path):
    run = run_recipe(resolved(catalog), folder=tmp_path / "run")
    assert run.step == 60
    assert run.test_metrics["expected_reward"] > 0.8
    assert run.epoch == 0
    again = evaluate(resolved(catalog), run.model, run.step)
    assert again.metrics == run.test_metrics
    environment = json.loads((tmp_path / "run/environment.json").read_text())
    assert (environment["data"], environment["warnings"]) == ({}, [])
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert "dataset" not in config
    assert "batch_size" not in config["run"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.epochs=3", r"run.epochs is 3, but recipe 'bandit' has no dataset"),
        ("run.steps=null", r"^recipe 'bandit' should give run.steps\."),
        ("run.batch_size=8", r"run.batch_size is 8, but recipe 'bandit' has no dataset"),
        ("run.batch_size=auto", r"run.batch_size is auto, but recipe 'bandit' has no dataset"),
        ("dataset.size=8", r"recipe 'bandit' has no dataset"),
    ],
)
def test_settings_of_examples_are_refused(catalog, override, message):
    with pytest.raises(BadSetting, match=message):
        resolved(catalog, override)


def test_a_trainer_that_reads_examples_is_told_that_there_are_none(catalog, tmp_path):
    with pytest.raises(zoo.ZooError, match="reads 'image', but the recipe has no dataset"):
        run_recipe(resolved(catalog, "trainer.reads=image"), folder=tmp_path / "run")


def test_every_check_passes_or_is_skipped(catalog):
    outcomes = {
        case.check.name: case.run()
        for case in cases("bandit/bandit", ["run.batch_size=8"], catalog)
        if case.check.name != "two-processes-agree"
    }
    assert {name: one.why for name, one in outcomes.items() if one.state == "failed"} == {}
    assert outcomes["stop-and-resume-is-bit-identical"].state == "passed"
    assert outcomes["odd-batch-sizes-work"].why == "the recipe has no dataset"


@pytest.mark.long
def test_a_killed_run_is_resumed_bit_for_bit(tmp_path):
    words = ["bandit", "run.steps=400", "run.checkpoint_every=5", "run.device=cpu", "run.threads=1"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*COMMAND, *words, "--folder", str(whole)], check=True, capture_output=True)
    process = subprocess.Popen(
        [*COMMAND, *words, "--folder", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not any(Path(killed, "checkpoints").glob("step-*")):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "model.safetensors").exists()
    subprocess.run([*COMMAND, "--resume", str(killed)], check=True, capture_output=True)
    assert compare(whole, killed) == ""
