"""A sweep that is killed, stopped or shared by several processes gives the results of one that is not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from zoo_core.runs.folder import RunFolder
from zoo_core.tools.sweep.study import Study
from zoo_core.tools.verify_resume import compare

pytestmark = pytest.mark.xdist_group("processes")
LONG = ("run.steps=400", "run.checkpoint_every=50", "run.log_every=100")
DRAWN = ("line", "trainer.learning_rate=log:1e-3..1e-1", "run.batch_size=4..16", "--metric=-error", "--trials", "3")


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < ends
        time.sleep(0.005)


def checkpoints(run: Path) -> list[Path]:
    return list((run / "checkpoints").glob("step-*"))


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def kept():
    """The sweep of ``uninterrupted``, once a test has run it."""
    return []


@pytest.fixture
def uninterrupted(sweep, kept, tmp_path_factory):
    """The sweep that is killed, stopped and resumed in other tests."""
    if not kept:
        kept.append(sweep.json(*DRAWN, *LONG, folder=str(tmp_path_factory.mktemp("uninterrupted") / "sweep")))
    return kept[0]


def same(one, other) -> bool:
    """Whether two sweeps have the same trials with the same results."""
    kept = ("trial", "state", "value", "settings", "step", "metrics", "intermediate_values")
    return [[trial[key] for key in kept] for trial in one.trials] == [
        [trial[key] for key in kept] for trial in other.trials
    ]


def test_a_sweep_killed_during_a_trial_resumes_that_trial_from_its_checkpoint(sweep, uninterrupted):
    process = sweep.start(*DRAWN, *LONG, "--folder", "killed", python=sys.executable)
    place = sweep.place / "killed"
    wait_until(lambda: checkpoints(place / "trial-0001"), process)
    process.kill()
    process.wait()
    assert [trial["state"] for trial in sweep.json("--show", "killed").trials] == ["done", "running"]
    finished = (place / "trial-0000" / "model.safetensors").stat().st_mtime_ns

    resumed = sweep.json("--resume", "killed")
    assert resumed.code == 0
    assert same(resumed, uninterrupted)
    assert "begins again" not in resumed.err
    assert (place / "trial-0000" / "model.safetensors").stat().st_mtime_ns == finished
    for number in range(3):
        assert compare(*(one / f"trial-{number:04d}" for one in (uninterrupted.folder, place))) == ""


@pytest.mark.long
def test_a_sweep_with_a_pruner_killed_at_random_moments_gives_the_same_result(sweep):
    rates = ",".join(["3e-2", "3.1e-2", "3.2e-2", "2.9e-2", "2.8e-2", "1e-9", "2e-9"])
    words = ("line", f"trainer.learning_rate={rates}", "--metric=-error", "--pruner", "median")
    words = (*words, "run.steps=300", "run.checkpoint_every=50", "run.evaluate_every=30", "run.log_every=50")
    whole = sweep.json(*words, folder="whole")
    assert "pruned" in [trial["state"] for trial in whole.trials]

    place, kills = sweep.place / "killed", 0
    process = sweep.start(*words, "--folder", "killed", python=sys.executable)
    for moment in (0.0, 0.2, 0.5, 0.1, 0.3):
        seen = len(list(place.glob("trial-*")))
        wait_until(lambda seen=seen: len(list(place.glob("trial-*"))) > seen, process)
        time.sleep(moment)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        process = sweep.start("--resume", "killed", python=sys.executable)
    code, _, err = ended(process)
    assert code == 0, err
    assert kills >= 3
    assert same(sweep.json("--show", "killed"), whole)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_a_signal_saves_a_checkpoint_of_the_trial_and_stops_the_sweep(sweep, uninterrupted, number, code):
    process = sweep.start(*DRAWN, *LONG, "--folder", "stopped")
    place = sweep.place / "stopped"
    wait_until(lambda: checkpoints(place / "trial-0000"), process)
    process.send_signal(number)
    returned, out, err = ended(process)
    assert returned == code, err
    assert f"line: stopped by {number.name}, 1 running, of 3 trials" in out
    assert "  resume   zoo sweep --resume stopped" in out
    assert "Traceback" not in err
    assert not (place / "trial-0001").exists()
    assert same(sweep.json("--resume", "stopped"), uninterrupted)


def test_a_sweep_stopped_by_the_time_limit_resumes_the_same_trial(sweep):
    words = ("line", "trainer.learning_rate=1e-3,1e-2", "--metric=-error", "run.steps=1000000")
    stopped = sweep.json(*words, "--time-limit", "1s")
    assert stopped.code == 124
    assert [trial["state"] for trial in stopped.trials] == ["running"]
    (checkpoint,) = [path.name for path in checkpoints(sweep.place / "swept" / "trial-0000")][-1:]
    assert int(checkpoint.removeprefix("step-")) > 0
    again = sweep("--resume", "last" if (sweep.place / "sweeps").exists() else "swept", "--time-limit", "1s")
    assert again.code == 124
    assert len(list((sweep.place / "swept").glob("trial-*"))) == 1


@pytest.mark.long
def test_two_processes_run_different_trials_of_one_folder(sweep):
    words = ("line", "trainer.learning_rate=1e-3,1e-2,2e-2,3e-2", "--metric=-error", *LONG)
    whole = sweep.json(*words, folder="whole")
    first = sweep.start(*words, "--folder", "shared")
    place = sweep.place / "shared"
    wait_until(lambda: (place / "trial-0000" / "config.yaml").exists(), first)
    second = sweep.start("--resume", "shared")
    results = [ended(process) for process in (first, second)]
    assert [code for code, _, _ in results] == [0, 0], results
    started = [
        {line.split()[1] for line in err.splitlines() if line.startswith("trial ") and "(" in line}
        for _, _, err in results
    ]
    assert started[0] & started[1] == set()
    assert started[0] | started[1] == {"0", "1", "2", "3"}
    assert all(started)
    assert same(sweep.json("--show", "shared"), whole)


@pytest.mark.long
def test_machines_with_separate_folders_share_trials_through_a_storage(sweep):
    words = ("line", "trainer.learning_rate=1e-3,1e-2,2e-2,3e-2", "--metric=-error", *LONG)
    words = (*words, "--storage", f"sqlite:///{sweep.place}/shared.db")
    processes = [sweep.start(*words, "--folder", folder) for folder in ("here", "there")]
    results = [ended(process) for process in processes]
    assert [code for code, _, _ in results] == [0, 0], results
    here, there = (sorted(path.name for path in (sweep.place / one).glob("trial-*")) for one in ("here", "there"))
    assert sorted([*here, *there]) == [f"trial-{number:04d}" for number in range(4)]
    shown = sweep.json("--show", "here")
    assert [trial["state"] for trial in shown.trials] == ["done"] * 4
    elsewhere = shown.trials[int(there[0].removeprefix("trial-"))] if there else None
    assert elsewhere is None or elsewhere["folder"].endswith(f":{sweep.place}/there/{there[0]}")

    other = sweep(*words, "--seed", "5", folder="third")
    assert other.code == 2
    assert "holds a sweep 'line' with other settings: sweep.seed is 0 there, and 5 here." in other.err
    assert "--name" in other.err
    assert not other.folder.exists()


def test_a_trial_that_is_resumed_by_hand_is_skipped_by_the_sweep(sweep):
    words = ("line", "trainer.learning_rate=1e-3,1e-2", "--metric=-error", "run.steps=20000")
    stopped = sweep.json(*words, "--time-limit", "1s")
    assert [trial["state"] for trial in stopped.trials] == ["running"]
    with RunFolder(stopped.folder / "trial-0000").locked():
        other = sweep.json("--resume", "swept", "--time-limit", "2s")
    assert other.trials[0] == stopped.trials[0]
    assert len(other.trials) == 2


@pytest.mark.long
def test_a_killed_sweep_of_a_bundled_recipe_gives_the_same_result(sweep):
    """On the MNIST subset that is included in the package."""
    words = (
        "digit-classifier-mnist",
        "trainer.learning_rate=1e-3,1e-2",
        "--metric",
        "accuracy",
        "dataset.source=subset",
    )
    words = (*words, "run.steps=24", "run.checkpoint_every=4", "run.device=cpu", "run.threads=1")
    whole = sweep.json(*words, folder="whole")
    process = sweep.start(*words, "--folder", "killed", python=sys.executable)
    wait_until(lambda: checkpoints(sweep.place / "killed" / "trial-0001"), process)
    process.kill()
    process.wait()
    resumed = sweep.json("--resume", "killed")
    assert same(resumed, whole)
    assert compare(whole.folder / "trial-0001", sweep.place / "killed" / "trial-0001") == ""
    assert resumed.trials[1]["value"] > 0.5


def test_a_trial_that_another_process_has_just_finished_is_not_run_again(sweep, monkeypatch):
    """The other process may finish the trial between reading the study and acquiring the lock."""
    sweep.json("line", "trainer.learning_rate=1e-3,1e-2", "--metric=-error")
    really = Study.trials
    monkeypatch.setattr(Study, "trials", lambda study: [replace(one, state="running") for one in really(study)])
    again = sweep("--resume", "swept")
    assert again.code == 0
    assert "steps on cpu" not in again.err
