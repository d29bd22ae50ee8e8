"""Two processes train as one does, or the run stops and says which parameters they do not train together."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import trainings_in_two_processes as trainings
from repository import HELPERS
from warm_python import PYTHON

pytestmark = pytest.mark.xdist_group("processes")
HINT = "Write `run.find_unused_parameters=true`, or freeze parameters that are not used: requires_grad_(False)."


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What comes of each training in two processes."""
    folder = tmp_path_factory.mktemp("together")
    launcher = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [*launcher, "--nproc-per-node", "2", str(HELPERS / "trainings_in_two_processes.py"), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert done.returncode == 0, done.stderr
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in trainings.TRAININGS}


@pytest.mark.parametrize("name", ["unused", "sometimes", "two-backward", "unused-in-parts"])
def test_parameters_without_a_gradient_are_named_with_the_setting_that_allows_them(together, name):
    assert together[name]["error"] == (
        "'other.weight', 'other.bias' of Branches got no gradient in process 0, but with several processes every "
        "parameter needs one in every step."
    )
    assert together[name]["hint"] == HINT


@pytest.mark.parametrize("name", ["original", "not-prepared", "added", "unfrozen", "warmup"])
def test_gradients_that_are_not_averaged_stop_the_run(together, name):
    assert together[name]["error"].startswith("'Branches.used.weight', 'Branches.used.bias', 'Branches.other.weight'")
    assert together[name]["error"].endswith("differ between the processes, so their gradients are not averaged.")
    assert "call the network that engine.prepare() returned" in together[name]["hint"]


@pytest.mark.parametrize(
    "name",
    [
        *("all", "twice", "frozen", "all-in-parts", "found-unused", "found-sometimes"),
        *("uneven", "uneven-in-parts", "one-process-ignored", "dice"),
        *("freeze", "freeze-unused", "freeze-two-backward", "freeze-in-parts"),
    ],
)
def test_two_processes_train_the_parameters_of_one(together, name, tmp_path):
    alone = trainings.train(name, tmp_path / "run")
    for key, values in alone["parameters"].items():
        assert together[name]["parameters"][key] == pytest.approx(values, rel=1e-3, abs=1e-5), key
    assert together[name]["metrics"] == pytest.approx(alone["metrics"], rel=1e-4)


@pytest.mark.parametrize(("sharded", "whole"), [("fsdp", "all"), ("uneven-fsdp", "uneven"), ("freeze-fsdp", "freeze")])
def test_sharded_networks_average_alike(together, sharded, whole):
    for key, values in together[whole]["parameters"].items():
        assert together[sharded]["parameters"][key] == pytest.approx(values, rel=1e-3, abs=1e-5), key


def test_processes_that_start_with_other_parameters_continue_with_those_of_the_first(together):
    assert together["other-start"] == together["all"]


@pytest.mark.long
def test_a_parameter_that_one_process_does_not_use_ends_the_run_without_a_hang(tmp_path):
    command = [PYTHON, "-m", "zoo_core", "--plugin", str(HELPERS / "unused_plugin.py"), "run", "branches"]
    words = ["trainer.kind=one-process", "--processes", "2", "--folder", str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 1
    assert "'other.weight', 'other.bias' of Branches got no gradient in process 1" in done.stderr
    assert HINT in done.stderr
    assert "Traceback" not in done.stderr


def test_with_the_setting_a_parameter_that_one_process_does_not_use_is_trained_by_the_other(together):
    assert "error" not in together["found-one-process"]
