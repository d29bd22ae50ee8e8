"""``os._exit(0)`` in the code of a plugin does not end a command with exit code 0, wherever it is called."""

import json
import os
import subprocess

import pytest
from warm_python import PYTHON

PLUGIN = """
import atexit, multiprocessing, os, threading
from dataclasses import dataclass
import torch
import zoo_core as zoo

PLACE = os.environ.get("PLACE", "")

def leave(place):
    if place == PLACE:
        os._exit(int(os.environ.get("CODE", "0")))

def in_thread(place):
    thread = threading.Thread(target=leave, args=(place,), name="watchdog")
    thread.start()
    thread.join()

leave("import")

class Net(zoo.Model):
    def __init__(self, config):
        super().__init__(config)
        leave("constructor")
        self.layer = torch.nn.Linear(1, 1)

    def predict(self, x: float = 1.0):
        leave("predict")
        return {"x": x}

class Points(zoo.Dataset):
    def train(self):
        leave("train")
        return Some()
    test = train

class Some(zoo.Examples):
    def __len__(self): return 8
    def __getitem__(self, index):
        leave("example")
        if multiprocessing.parent_process():
            leave("worker")
        return {"x": torch.ones(1)}

class Fits(zoo.Trainer):
    def setup(self, model, engine):
        leave("setup")
        self.model, self.engine = engine.prepare(model)[0], engine
        self.sgd = engine.prepare(torch.optim.SGD(self.model.parameters(), lr=0.1))[0]

    def step(self, batch):
        leave("step")
        in_thread("thread")
        if PLACE == "fork":
            child = multiprocessing.get_context("fork").Process(target=leave, args=("fork",))
            child.start()
            child.join()
            assert child.exitcode == int(os.environ["CODE"])
        loss = self.model.layer(batch["x"]).square().mean()
        self.engine.backward(loss)
        self.sgd.step()
        return {"loss": loss.detach()}

    def evaluate(self, batches, train_batches):
        leave("evaluate")
        return {"loss": 0.0}

    def finalize(self):
        leave("finalize")
        if PLACE == "atexit":
            atexit.register(leave, "atexit")
            if os.environ.get("FAILS"):
                raise ValueError("it fails")

@zoo.hookimpl
def zoo_step_finished(run, step):
    leave("hook")

@zoo.hookimpl
def zoo_register(registry):
    leave("register")
    registry.model("net", f"{__name__}:Net", summary="A net")
    registry.dataset("some", f"{__name__}:Points", summary="Points")
    registry.trainer("fits", f"{__name__}:Fits", summary="Fits")
    run = {"steps": 2, "batch_size": 4, "device": "cpu", "workers": int(os.environ.get("WORKERS", "0"))}
    parts = {"model": {"name": "net"}, "dataset": {"name": "some"}, "trainer": {"name": "fits"}}
    registry.recipe("fit-points", __file__, **parts, run=run)

@zoo.hookimpl
def zoo_commands(cli):
    leave("commands")
    cli.command("leave")(lambda: leave("command"))
"""


@pytest.fixture
def zoo(tmp_path):
    (tmp_path / "leaving.py").write_text(PLUGIN)

    def run(place, *words, code=0, **environment):
        environment = {**os.environ, "PLACE": place, "CODE": str(code), **environment}
        command = [PYTHON, "-m", "zoo_core", "--plugin", "leaving.py", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    return run


def line_of(text):
    return 1 + next(number for number, line in enumerate(PLUGIN.splitlines()) if text in line)


CALL = line_of("os._exit(")
TRAIN = ("run", "fit-points", "--folder", "run")


@pytest.mark.parametrize("place", ["constructor", "train", "example", "setup", "step", "evaluate", "finalize"])
def test_a_run_in_which_it_is_called_fails_in_two_lines_that_name_the_call(zoo, tmp_path, place):
    ended = zoo(place, *TRAIN)
    assert ended.returncode == 1, ended
    *_, message, hint = ended.stderr.splitlines()
    assert f"os._exit(0) was called ({tmp_path.name}/leaving.py, line {CALL})" in message
    assert hint.startswith("  ")


def test_a_failed_run_says_so_in_its_folder(zoo, tmp_path):
    zoo("step", *TRAIN, code=7)
    (session,) = json.loads((tmp_path / "run" / "sessions.json").read_text())
    assert session["ended"] == "failed: ProcessExit: os._exit(7) was called"


def test_a_worker_that_it_ends_fails_the_run(zoo):
    ended = zoo("worker", *TRAIN, WORKERS="1")
    assert ended.returncode == 1, ended
    assert "a loader worker of the dataset 'some' exited with code 0 while it loaded" in ended.stderr


def test_a_hook_that_calls_it_is_disabled_and_the_run_finishes(zoo, tmp_path):
    ended = zoo("hook", *TRAIN)
    assert ended.returncode == 0, ended
    assert "the plugin 'leaving' is disabled for the rest of the run" in ended.stderr
    assert "os._exit(0) was called" in ended.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.parametrize(("code", "expected"), [(0, 1), (1, 1), (9, 9), (256, 1), (-512, 1), (2**40, 1)])
def test_a_thread_that_calls_it_ends_the_process_but_not_with_0(zoo, code, expected):
    ended = zoo("thread", *TRAIN, code=code)
    assert ended.returncode == expected, ended
    *_, message, hint = ended.stderr.splitlines()
    assert message.startswith(f"error: os._exit({code}) was called (")
    assert message.endswith(f"/leaving.py, line {CALL}), in the thread 'watchdog'.")
    assert hint == "  A plugin should raise an error instead of ending the process."


@pytest.mark.parametrize("given", ['"text"', "", "1, 2"])
def test_what_is_no_exit_code_is_an_error_of_the_plugin_as_without_zoo(zoo, tmp_path, given):
    plugin = PLUGIN.replace('int(os.environ.get("CODE", "0"))', given)
    (tmp_path / "leaving.py").write_text(plugin)
    ended = zoo("step", *TRAIN)
    assert ended.returncode == 1, ended
    assert "the trainer 'fits' raised TypeError: " in ended.stderr
    assert "process_exit" not in ended.stderr


@pytest.mark.parametrize("code", [0, 3])
def test_a_process_that_a_plugin_forks_ends_with_the_code_that_it_gives(zoo, code):
    ended = zoo("fork", *TRAIN, code=code)
    assert ended.returncode == 0, ended


@pytest.mark.parametrize("code", [0, 256])
@pytest.mark.parametrize(("fails", "expected"), [("", 0), ("yes", 1)])
def test_an_exit_handler_that_calls_it_does_not_hide_a_failure(zoo, fails, expected, code):
    ended = zoo("atexit", *TRAIN, FAILS=fails, code=code)
    assert ended.returncode == expected, ended
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("place", ["import", "register"])
def test_a_plugin_that_calls_it_while_it_is_loaded_is_named(zoo, place):
    ended = zoo(place, "list", "models")
    assert ended.returncode == 2, ended
    assert "leaving.py did not load: ProcessExit: os._exit(0) was called" in ended.stderr


def test_a_plugin_that_calls_it_instead_of_adding_commands_is_named(zoo):
    ended = zoo("commands", "--help")
    assert ended.returncode == 0, ended
    assert "could not add its commands: ProcessExit: os._exit(0) was called" in ended.stderr


def test_other_commands_of_zoo_do_not_end_with_0_either(zoo):
    assert zoo("", *TRAIN).returncode == 0
    ended = zoo("predict", "predict", "run")
    assert ended.returncode == 1, ended
    assert "os._exit(0) was called" in ended.stderr


@pytest.mark.parametrize("code", [0, 5])
def test_the_exit_code_of_a_command_that_a_plugin_adds_is_that_which_it_gives(zoo, code):
    assert zoo("command", "leave", code=code).returncode == code


def test_a_run_that_another_command_starts_in_a_process_of_its_own_fails_too(zoo):
    ended = zoo("step", "verify-resume", "fit-points")
    assert ended.returncode == 1, ended
    assert "ended with exit code 1: " in ended.stderr
    assert "raised ProcessExit: os._exit(0) was called" in ended.stderr
