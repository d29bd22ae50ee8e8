"""The installed command: real processes, real signals, the bundled digits."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from warm_python import PYTHON

ZOO = [sys.executable, "-m", "zoo_core"]
SMALL = ["clsgan-mnist", "dataset.source=subset", "trainer.eval_classifier=null", "run.device=cpu", "run.batch_size=16"]
STEPS = 60
LONG = [*SMALL, f"run.steps={STEPS}", "run.checkpoint_every=5", "run.preview_every=0"]


def environment(folder):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ZOO_")}
    return {**kept, "ZOO_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}


def zoo(folder, *arguments, python=PYTHON):
    command = [python, *ZOO[1:], *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300)


def report(done):
    """The lines that `zoo run` prints at its end, by their label."""
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    return dict(re.split(r" {2,}", line, maxsplit=1) for line in lines)


def weights_of(run):
    return (run / "model.safetensors").read_bytes()


def tensors_of(run):
    """The bytes of the tensors, without the metadata, which contain settings that do not change the weights."""
    whole = weights_of(run)
    return whole[8 + int.from_bytes(whole[:8], "little") :]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("command")


@pytest.fixture(scope="module")
def done(place):
    """`zoo run` for thirty steps, as it ended."""
    words = ["run.steps=30", "run.checkpoint_every=10", "run.log_every=10", "run.preview_every=15"]
    return zoo(place, "run", *SMALL, *words, python=sys.executable)


def test_a_run_reports_its_folder_its_metrics_and_the_next_commands(place, done):
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clsgan-mnist: done, step 30\n")
    said = report(done)
    run = place / said["run"]
    assert run.parent == place / "runs" / "clsgan-mnist"
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 30
    for name in ("generator_loss", "discriminator_loss", "real_loss", "fake_loss"):
        assert f"{name} {last[name]:.4g}" in said["train metrics"]
    assert said["predict"] == f"zoo predict {said['run']} -o image.png"
    assert said["curves"] == f"tensorboard --logdir {said['run']}"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-000000020", "step-000000030"]
    assert sorted(path.name for path in (run / "previews").iterdir()) == ["step-000015.png", "step-000030.png"]


def test_a_pipe_gets_plain_lines(done):
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    first, *lines = done.stderr.splitlines()
    assert first.startswith("clsgan-mnist: 30 steps on cpu, in runs/clsgan-mnist/")
    assert re.match(r"step 30/30  epoch 0\.12  [\d.]+ steps/s  .*generator_loss [\d.]+.*  left 0:00:00$", lines[-1])


def test_the_printed_predict_command_writes_an_image_of_digits(place, done):
    program, *arguments = shlex.split(report(done)["predict"])
    assert program == "zoo"
    looked = zoo(place, *arguments, python=sys.executable)
    assert looked.returncode == 0, looked.stderr
    with Image.open(place / "image.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (10 * 30 + 2, 8 * 30 + 2)  # eighty digits, two pixels between them
        assert picture.convert("L").getextrema()[1] > 50


def test_predict_uses_the_newest_run_of_a_recipe(place, done):
    looked = zoo(place, "predict", "clsgan-mnist", "labels=[5,5,5,5]", "seed=1", "-o", "fives.png")
    assert looked.returncode == 0, looked.stderr
    assert looked.stdout == ""
    assert report(done)["run"] in looked.stderr
    with Image.open(place / "fives.png") as picture:
        assert picture.size == (4 * 30 + 2, 30 + 2)
    lost = zoo(place, "predict", "clsgan-mnist", "labels=[5]")
    assert (lost.returncode, lost.stdout) == (2, "")
    assert "no file is given" in lost.stderr

    wrong = zoo(place, "predict", "clsgan-mnist", "labels=[12]", "-o", "twelve.png")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.splitlines()[0] == "error: labels contains 12, but should contain integers from 0 to 9."
    assert not (place / "twelve.png").exists()


def test_an_existing_folder_is_never_overwritten(place, done):
    run = place / report(done)["run"]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    again = zoo(place, "run", *SMALL, "run.steps=1", "--folder", run)
    assert again.returncode == 2
    assert "Traceback" not in again.stderr
    assert f"error: the run folder {run.relative_to(place)} already exists" in again.stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_config_of_a_run_repeats_it(place, done):
    run = place / report(done)["run"]
    again = zoo(place, "run", "--config", run / "config.yaml", "--folder", "again")
    assert again.returncode == 0, again.stderr
    assert weights_of(place / "again") == weights_of(run)


def stopped_by(number, folder, words):
    """`zoo run`, sent the signal once its first checkpoint lies there; and how it ended.

    Its whole group is sent it, as by a key press in a terminal or by a scheduler.
    """
    command = [*ZOO, "run", *LONG, *words]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    late = threading.Timer(200, process.kill)
    late.start()
    while process.poll() is None and not list(folder.glob("runs/*/*/checkpoints/step-*")):
        time.sleep(0.005)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate()
    late.cancel()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def newest_checkpoint(run):
    return max(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def uninterrupted(place):
    """The weights of the run that the signals below stop."""
    done = zoo(place, "run", *LONG, "--folder", "uninterrupted")
    assert done.returncode == 0, done.stderr
    return tensors_of(place / "uninterrupted")


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        pytest.param(signal.SIGINT, 130, [], id="SIGINT"),
        pytest.param(signal.SIGTERM, 143, ["run.workers=2"], id="SIGTERM with loader workers"),
        pytest.param(signal.SIGINT, 130, ["run.workers=2"], id="SIGINT with loader workers", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 143, [], id="SIGTERM", marks=pytest.mark.long),
    ],
)
def test_a_run_stopped_by_a_signal_and_resumed_has_the_weights_of_an_uninterrupted_one(
    tmp_path, uninterrupted, number, code, words
):
    stopped = stopped_by(number, tmp_path, words)
    assert stopped.returncode == code, stopped.stderr
    assert "Traceback" not in stopped.stderr
    run = tmp_path / report(stopped)["run"]
    step = newest_checkpoint(run)
    assert 0 < step < STEPS
    assert stopped.stdout.startswith(f"clsgan-mnist: stopped by {number.name} at step {step}\n")
    assert report(stopped)["resume"] == f"zoo run --resume {report(stopped)['run']}"

    _, *arguments = shlex.split(report(stopped)["resume"])
    finished = zoo(tmp_path, *arguments)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(f"clsgan-mnist: done, step {STEPS}\n")
    assert tensors_of(run) == uninterrupted


def test_a_key_press_before_the_first_step_leaves_nothing(tmp_path):
    process = subprocess.Popen(
        [*ZOO, "run", *SMALL], cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    modules = Path(f"/proc/{process.pid}/maps")
    if not modules.exists():
        process.kill()
        pytest.skip("tells by /proc that the command is at work")
    while process.poll() is None and "libtorch_cpu" not in modules.read_text():
        time.sleep(0.01)  # torch takes seconds to import: zoo is at work, and no step is done
    process.send_signal(signal.SIGINT)
    late = threading.Timer(120, process.kill)
    late.start()
    _, stderr = process.communicate()
    late.cancel()
    assert process.returncode == 130, stderr
    assert stderr == "interrupted\n"
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["clsgan-mnits"], "no recipe is called 'clsgan-mnits'.", "Did you mean 'clsgan-mnist'?"),
        ([*SMALL, "run.step=3"], "run.step: recipe 'clsgan-mnist' has no such setting.", "Did you mean 'run.steps'?"),
        ([*SMALL, "run.batch_size=4001"], "the dataset has only 4000 training examples.", "run.batch_size=4000"),
        ([*SMALL, "run.device=cuda:99"], "run.device is 'cuda:99'", "--device cpu"),
        (["--resume", "nowhere"], "nowhere is not the folder of a run: it has no config.yaml.", "runs"),
    ],
)
def test_an_error_has_two_lines_and_writes_nothing(tmp_path, words, message, hint):
    failed = zoo(tmp_path, "run", *words)
    problem, advice = failed.stderr.splitlines()
    assert failed.returncode == 2
    assert problem.startswith("error: ")
    assert message in problem
    assert hint in advice
    assert list(tmp_path.rglob("*")) == []
