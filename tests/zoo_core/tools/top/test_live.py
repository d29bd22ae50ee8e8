"""`zoo top` shows the state of real runs: running, done, killed, failed, damaged."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from warm_python import PYTHON

from zoo_core.runs.sessions import Session
from zoo_core.tools.top.read import runs_in

TINY = ["run", "digit-classifier-mnist", "dataset.source=subset", "run.device=cpu", "run.batch_size=8",
        "run.log_every=1", "run.threads=1", "run.checkpoint_every=0"]  # fmt: skip


def zoo(*words, cwd):
    return subprocess.run([PYTHON, "-m", "zoo_core", *words], cwd=cwd, capture_output=True, text=True, timeout=600)


def status(cwd):
    done = zoo("top", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)
    return run


@contextmanager
def running(folder, python=PYTHON):
    """A run in a separate process that has logged metrics."""
    words = [python, "-m", "zoo_core", *TINY, "run.steps=1000000", "--folder", "runs/a"]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = folder / "runs" / "a" / "metrics.jsonl"
    try:
        deadline = time.monotonic() + 300
        while not metrics.exists() or metrics.stat().st_size < 200:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_run_is_running_until_it_is_killed(tmp_path):
    with running(tmp_path, sys.executable) as process:
        run = status(tmp_path)
        assert (run["state"], run["recipe"], run["steps"]) == ("running", "digit-classifier-mnist", 1000000)
        assert 0 < run["step"] < 1000000
        assert run["seconds_left"] == pytest.approx((1000000 - run["step"]) / run["steps_per_second"])
        assert len(run["losses"]["loss"]) > 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    run = status(tmp_path)
    assert (run["state"], run["seconds_left"]) == ("killed", None)


def test_a_stopped_run_names_the_signal(tmp_path):
    with running(tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 143
    assert (status(tmp_path)["state"], status(tmp_path)["note"]) == ("stopped", "by SIGTERM")


def test_a_completed_run_is_done_and_a_pipe_gets_a_table(tmp_path):
    done = zoo(*TINY, "run.steps=6", "--folder", "runs/a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = status(tmp_path)
    assert (run["state"], run["step"], run["steps"]) == ("done", 6, 6)
    shown = zoo("top", cwd=tmp_path).stdout
    assert "done" in shown
    assert "6/6" in shown


def test_a_failed_run_has_the_reason_in_its_note(tmp_path):
    done = zoo(*TINY, "run.steps=200", "trainer.learning_rate=1e30", "--folder", "runs/a", cwd=tmp_path)
    assert done.returncode == 1
    run = status(tmp_path)
    assert run["state"] == "failed"
    assert "at step" in run["note"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '[{"ended": 3}]', '[{"ended": "done"', "\x00"])
def test_a_folder_with_unreadable_sessions_is_damaged(tmp_path, text):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "sessions.json").write_text(text)
    (tmp_path / "runs" / "a" / "metrics.jsonl").write_bytes(b'\xff\xfe\n[]\n{"step": null}\n')
    (run,) = runs_in([tmp_path])
    assert (run.state, run.note) == ("damaged", "sessions.json can't be read")


def test_a_missing_folder_is_refused_by_name(tmp_path):
    done = zoo("top", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere is not a folder" in done.stderr


def test_three_hundred_runs_are_read_within_three_seconds(tmp_path):
    began = datetime(2030, 1, 2, tzinfo=UTC)
    session = Session(began, from_step=0, steps=9, step=9, seconds=1.0, peak_memory=1, ended="done").as_entry()
    lines = "".join(json.dumps({"step": step, "loss": 1.0 / step}) + "\n" for step in range(1, 2000))
    for number in range(300):
        folder = tmp_path / "runs" / "r" / str(number)
        folder.mkdir(parents=True)
        (folder / "sessions.json").write_text(json.dumps([session]))
        (folder / "metrics.jsonl").write_text(lines)
    start = time.process_time()
    assert len(runs_in([tmp_path])) == 300
    assert time.process_time() - start < 3
