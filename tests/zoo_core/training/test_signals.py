"""A signal ends a run within five seconds, whatever it is doing; what was saved before is resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import tiny
from repository import HELPERS
from warm_python import PYTHON

from zoo_core.errors import RunStopped
from zoo_core.training.signals import TIME_LIMIT, raises_run_stopped, stops_after, stops_on_signal

COMMAND = [sys.executable, "-m", "zoo_core", "--plugin", str(HELPERS / "blocking_plugin.py")]
STEPS = 12


@dataclass
class Ended:
    """A command after a signal, with the seconds that its end took and the processes that outlived it."""

    code: int
    output: str
    seconds: float
    left: list[psutil.Process]


def stopped_in(
    part: str, place: Path, *words: str, number: signal.Signals = signal.SIGTERM, group: bool = False
) -> Ended:
    """Run the command until it is blocked in a part of its work, and send the signal to it or to its process group."""
    environment = {name: value for name, value in os.environ.items() if name != "ZOO_STOP_SECONDS"}
    environment |= {"BLOCK": part, "TMPDIR": str(place)}
    log = place / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*COMMAND, *words], cwd=place, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    while process.poll() is None and "BLOCKED" not in log.read_text():
        time.sleep(0.02)
    time.sleep(0.3)
    assert process.poll() is None, log.read_text()
    children = psutil.Process(process.pid).children(recursive=True)
    before = time.monotonic()
    (os.killpg if group else os.kill)(process.pid, number)
    code = process.wait(60)
    seconds = time.monotonic() - before
    _, left = psutil.wait_procs(children, timeout=1)
    return Ended(code, log.read_text(), seconds, left)


def assert_stopped(ended: Ended, code: int = 143) -> None:
    assert ended.code == code, ended.output
    assert ended.seconds < 5, ended.output
    assert ended.left == []
    assert "Traceback" not in ended.output
    assert "error" not in ended.output


def assert_resumes(place: Path, folder: str = "run") -> None:
    environment = {**os.environ, "BLOCK": ""}
    command = [PYTHON, *COMMAND[1:], "run", "--resume", folder]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"blocking: done, step {STEPS}\n")


def last_session(place: Path) -> dict[str, object]:
    return json.loads((place / "run" / "sessions.json").read_text())[-1]


def test_a_long_step_is_cut_and_the_run_resumes_from_its_last_checkpoint(tmp_path):
    ended = stopped_in("step:compute", tmp_path, "run", "blocking", "--folder", "run")
    assert_stopped(ended)
    line = "blocking: stopped by SIGTERM after step 4; step 3 is saved. Resume with: "
    line += f"zoo --plugin {HELPERS / 'blocking_plugin.py'} run --resume run"
    assert ended.output.splitlines()[-1] == line
    assert (last_session(tmp_path)["ended"], last_session(tmp_path)["step"]) == ("stopped: by SIGTERM", 4)
    assert_resumes(tmp_path)


def test_a_first_step_is_cut_and_the_run_starts_again(tmp_path):
    ended = stopped_in("first step", tmp_path, "run", "blocking", "--folder", "run")
    assert_stopped(ended)
    assert "blocking: stopped by SIGTERM after step 0; no step is saved. Resume with: " in ended.output
    assert last_session(tmp_path)["step"] == 0
    assert_resumes(tmp_path)


def test_a_compiler_that_the_same_signal_ended_is_reported_as_the_stop(tmp_path):
    ended = stopped_in("step:child", tmp_path, "run", "blocking", "--folder", "run", group=True)
    assert_stopped(ended)
    assert "blocking: stopped by SIGTERM after step 4; step 3 is saved.\n" in ended.output
    assert last_session(tmp_path)["ended"] == "stopped: by SIGTERM"


def test_a_run_that_waits_for_data_saves_the_step_that_it_has_done(tmp_path):
    words = ["run", "blocking", "run.checkpoint_every=0", "run.seed=3", "--folder", "run"]
    ended = stopped_in("example", tmp_path, *words, number=signal.SIGHUP)
    assert_stopped(ended, 129)
    steps = [int(path.name.removeprefix("step-")) for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert f"blocking: stopped by SIGHUP at step {steps[0]}\n" in ended.output
    assert last_session(tmp_path)["ended"] == "stopped: by SIGHUP"


@pytest.mark.parametrize("part", ["data:loop", pytest.param("setup", marks=pytest.mark.long)])
def test_a_run_that_has_not_begun_leaves_nothing(tmp_path, part):
    ended = stopped_in(part, tmp_path, "run", "blocking", "--folder", "run")
    assert_stopped(ended)
    assert ended.output.splitlines()[-1] == "stopped by SIGTERM"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


STRIKING = """
import os, signal, sys

def strike(event, arguments):
    if event in {events!r} and os.path.basename(str(arguments[0])).endswith({ending!r}):
        os.kill(os.getpid(), signal.SIGTERM)

sys.addaudithook(strike)
"""


@pytest.mark.parametrize(
    ("events", "ending"),
    [
        (["os.mkdir"], "run"),
        (["os.listdir", "os.scandir"], "run"),
        (["open"], ".lock"),
        (["open"], ".part"),
        (["os.rename"], ".part"),
    ],
)
def test_a_run_whose_folder_is_being_made_leaves_none(tmp_path, events, ending):
    (tmp_path / "striking.py").write_text(STRIKING.format(events=events, ending=ending))
    words = [
        "--plugin",
        "striking.py",
        "--plugin",
        HELPERS / "blocking_plugin.py",
        "run",
        "blocking",
        "--folder",
        "run",
    ]
    done = subprocess.run([PYTHON, "-m", "zoo_core", *words], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (143, ["stopped by SIGTERM"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["striking.py"]


@pytest.mark.long
@pytest.mark.parametrize("part", ["import", "register", "model"])
def test_before_a_run_there_is_nothing_to_save(tmp_path, part):
    ended = stopped_in(part, tmp_path, "run", "blocking", "--folder", "run", number=signal.SIGINT)
    assert_stopped(ended, 130)
    assert ended.output.splitlines()[-1] == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "step"),
    [
        ("start hook", None),
        ("step:loop", 3),
        ("step:child", 3),
        ("preview", 3),
        ("validation", 3),
        ("checkpoint hook", 3),
        ("finalize", STEPS),
        ("test", STEPS),
        ("end hook", STEPS),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_every_part_of_a_run_ends_in_time_and_resumes(tmp_path, part, step, workers):
    ended = stopped_in(part, tmp_path, "run", "blocking", f"run.workers={workers}", "--folder", "run")
    assert_stopped(ended)
    assert (f"step {step} is saved" if step else "no step is saved") in ended.output
    assert last_session(tmp_path)["ended"] == "stopped: by SIGTERM"
    assert_resumes(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("part", ["data", "step", "validation", "test", "end hook"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_process_of_a_run_ends_in_time(tmp_path, part, number):
    ended = stopped_in(part, tmp_path, "run", "blocking", "--processes", "2", "--folder", "run", number=number)
    assert_stopped(ended, 128 + number)
    assert not list(tmp_path.glob("zoo-processes-*"))
    if part != "data":
        assert_resumes(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("step", ["sweep", "blocking", "run.seed=1,2", "--metric", "count", "--folder", "swept"]),
        ("test", ["sweep", "blocking", "run.seed=1,2", "--metric", "count", "--folder", "swept"]),
        ("step", ["bench", "blocking"]),
        ("data", ["check", "blocking"]),
        ("model", ["bench", "blocking", "--predict"]),
        ("data", ["check", "blocking", "--only", "two_processes"]),
        ("register", ["list"]),
        ("register", ["verify-resume", "blocking"]),
    ],
)
def test_every_command_ends_in_time(tmp_path, part, words):
    ended = stopped_in(part, tmp_path, *words)
    assert_stopped(ended)
    assert {path.name for path in tmp_path.iterdir()} <= {"log", "swept"}


def test_an_error_after_a_signal_is_the_stop(tmp_path):
    run = tiny.train(tmp_path / "run")
    run.stop("SIGTERM")
    message = r"stopped by SIGTERM after step 30; step 30 is saved\."
    with pytest.raises(RunStopped, match=message) as stopped, raises_run_stopped(run):
        raise RuntimeError("the compiler was terminated")
    assert str(stopped.value.__cause__) == "the compiler was terminated"


def test_an_error_without_a_signal_is_itself(tmp_path):
    run = tiny.train(tmp_path / "run")
    run.stop("another reason")
    with pytest.raises(ValueError, match="a real one"), raises_run_stopped(run):
        raise ValueError("a real one")


def test_in_a_program_of_a_user_a_second_signal_raises_keyboard_interrupt(tmp_path):
    run = tiny.train(tmp_path / "run")
    before = signal.getsignal(signal.SIGTERM)
    with stops_on_signal(run):
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.stopping == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_a_program_of_a_user_a_hangup_stops_the_run_unless_it_is_ignored(tmp_path):
    run = tiny.train(tmp_path / "run")
    before = signal.getsignal(signal.SIGHUP)
    with stops_on_signal(run):
        os.kill(os.getpid(), signal.SIGHUP)
        assert run.stopping == "SIGHUP"
    assert signal.getsignal(signal.SIGHUP) is before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        run.stopping = ""
        with stops_on_signal(run):
            os.kill(os.getpid(), signal.SIGHUP)
        assert run.stopping == ""
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_time_limit_leaves_no_thread_behind(tmp_path):
    run = tiny.train(tmp_path / "run")
    before = threading.enumerate()
    with stops_after(run, 600):
        assert len(threading.enumerate()) == len(before) + 1
    assert threading.enumerate() == before


def test_a_time_limit_that_has_passed_stops_the_run(tmp_path):
    run = tiny.train(tmp_path / "run")
    with stops_after(run, 0.01):
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join()
    assert run.stopping == TIME_LIMIT
