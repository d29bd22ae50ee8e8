"""The command in subprocesses, with real signals and the bundled digits."""

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

ZOO = [sys.executable, "-m", "zoo_core"]
SMALL = ["clsgan-mnist", "dataset.source=subset", "trainer.eval_classifier=null", "run.device=cpu", "run.batch_size=16"]
LONG = [*SMALL, "run.steps=150", "run.checkpoint_every=5", "run.preview_every=0"]


def environment(folder):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ZOO_")}
    return {**kept, "ZOO_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}


def zoo(folder, *arguments):
    return subprocess.run(
        [*ZOO, *map(str, arguments)], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300
    )


def report(done):
    """The lines that `zoo run` prints at the end, by their first word."""
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    return {word.replace("go", "go on"): text.removeprefix("on ").strip() for word, text in lines}


def weights_of(run):
    return (run / "model.safetensors").read_bytes()


def tensors_of(run):
    """The tensors without the metadata, which contains settings that do not affect the weights."""
    whole = weights_of(run)
    return whole[8 + int.from_bytes(whole[:8], "little") :]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("command")


@pytest.fixture(scope="module")
def done(place):
    """`zoo run` for 30 steps."""
    arguments = ["run.steps=30", "run.checkpoint_every=10", "run.log_every=10", "run.preview_every=15"]
    return zoo(place, "run", *SMALL, *arguments)


def test_a_run_prints_its_folder_its_metrics_and_the_next_commands(place, done):
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clsgan-mnist: done, step 30\n")
    lines = report(done)
    run = place / lines["run"]
    assert run.parent == place / "runs" / "clsgan-mnist"
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 30
    for name in ("generator_loss", "discriminator_loss", "real_loss", "fake_loss"):
        assert f"{name} {last[name]:.4g}" in lines["metrics"]
    assert lines["look"] == f"zoo predict {lines['run']} -o picture.png"
    assert lines["curves"] == f"tensorboard --logdir {lines['run']}"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-000000020", "step-000000030"]
    assert sorted(path.name for path in (run / "previews").iterdir()) == ["step-000015.png", "step-000030.png"]


def test_output_to_a_pipe_consists_of_plain_lines(done):
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    first, *lines = done.stderr.splitlines()
    assert first.startswith("clsgan-mnist: 30 steps on cpu, in runs/clsgan-mnist/")
    assert re.match(r"step 30/30  epoch 0\.12  [\d.]+ steps/s  .*generator_loss [\d.]+.*  left 0:00:00$", lines[-1])


def test_the_printed_predict_command_writes_an_image_of_digits(place, done):
    program, *arguments = shlex.split(report(done)["look"])
    assert program == "zoo"
    predicted = zoo(place, *arguments)
    assert predicted.returncode == 0, predicted.stderr
    with Image.open(place / "picture.png") as image:
        assert image.format == "PNG"
        assert image.size == (10 * 30 + 2, 8 * 30 + 2)  # 80 digits, two pixels between them
        assert image.convert("L").getextrema()[1] > 50


def test_predict_accepts_the_name_of_a_recipe(place, done):
    predicted = zoo(place, "predict", "clsgan-mnist", "labels=[5,5,5,5]", "seed=1", "-o", "fives.png")
    assert predicted.returncode == 0, predicted.stderr
    assert predicted.stdout == ""
    assert report(done)["run"] in predicted.stderr
    with Image.open(place / "fives.png") as image:
        assert image.size == (4 * 30 + 2, 30 + 2)
    without_output = zoo(place, "predict", "clsgan-mnist", "labels=[5]")
    assert (without_output.returncode, without_output.stdout) == (2, "")
    assert "no file is given" in without_output.stderr

    wrong = zoo(place, "predict", "clsgan-mnist", "labels=[12]", "-o", "twelve.png")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.splitlines()[0] == "error: labels has 12, but should lie in 0..9."
    assert not (place / "twelve.png").exists()


def test_an_existing_run_is_never_overwritten(place, done):
    run = place / report(done)["run"]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    again = zoo(place, "run", *SMALL, "run.steps=1", "--folder", run)
    assert again.returncode == 2
    assert "Traceback" not in again.stderr
    assert f"error: the run folder {run} already exists" in again.stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_config_of_a_run_reproduces_it(place, done):
    run = place / report(done)["run"]
    again = zoo(place, "run", "--config", run / "config.yaml", "--folder", "again")
    assert again.returncode == 0, again.stderr
    assert weights_of(place / "again") == weights_of(run)


def stopped_by(number, folder, arguments):
    """`zoo run`, stopped by a signal after its first checkpoint.

    The signal is sent to the process group, as by a key press in a terminal or by a scheduler.
    """
    command = [*ZOO, "run", *LONG, *arguments]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    timeout = threading.Timer(200, process.kill)
    timeout.start()
    while process.poll() is None and not list(folder.glob("runs/*/*/checkpoints/step-*")):
        time.sleep(0.005)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate()
    timeout.cancel()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def newest_checkpoint(run):
    return max(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def uninterrupted(place):
    """The tensors of the same run without a signal."""
    done = zoo(place, "run", *LONG, "--folder", "uninterrupted")
    assert done.returncode == 0, done.stderr
    return tensors_of(place / "uninterrupted")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["run.workers=2"]], ids=["alone", "with loader workers"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_run_and_resuming_gives_the_tensors_of_an_uninterrupted_run(
    tmp_path, uninterrupted, number, code, arguments
):
    stopped = stopped_by(number, tmp_path, arguments)
    assert stopped.returncode == code, stopped.stderr
    assert "Traceback" not in stopped.stderr
    run = tmp_path / report(stopped)["run"]
    step = newest_checkpoint(run)
    assert 0 < step < 150
    assert stopped.stdout.startswith(f"clsgan-mnist: stopped by {number.name} at step {step}\n")
    assert report(stopped)["go on"] == f"zoo run --resume {report(stopped)['run']}"

    _, *arguments = shlex.split(report(stopped)["go on"])
    finished = zoo(tmp_path, *arguments)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("clsgan-mnist: done, step 150\n")
    assert tensors_of(run) == uninterrupted


def test_an_interrupt_before_the_first_step_leaves_no_file(tmp_path):
    process = subprocess.Popen(
        [*ZOO, "run", *SMALL], cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    modules = Path(f"/proc/{process.pid}/maps")
    if not modules.exists():
        process.kill()
        pytest.skip("needs /proc to see that the command is importing torch")
    while process.poll() is None and "libtorch_cpu" not in modules.read_text():
        time.sleep(0.01)  # importing torch takes seconds, and no step is done by then
    process.send_signal(signal.SIGINT)
    timeout = threading.Timer(120, process.kill)
    timeout.start()
    _, stderr = process.communicate()
    timeout.cancel()
    assert process.returncode == 130, stderr
    assert stderr == "interrupted\n"
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["clsgan-mnits"], "no recipe is called 'clsgan-mnits'.", "Did you mean 'clsgan-mnist'?"),
        ([*SMALL, "run.step=3"], "run.step: recipe 'clsgan-mnist' has no such setting.", "Did you mean 'run.steps'?"),
        ([*SMALL, "run.batch_size=4001"], "the data set has only 4000 training examples.", "run.batch_size=4000"),
        ([*SMALL, "run.device=cuda:99"], "run.device is 'cuda:99'", "--device cpu"),
        (["--resume", "nowhere"], "nowhere is not the folder of a run: it has no config.yaml.", "runs"),
    ],
)
def test_a_usage_error_has_a_hint_and_writes_nothing(tmp_path, arguments, message, hint):
    failed = zoo(tmp_path, "run", *arguments)
    first, second = failed.stderr.splitlines()
    assert failed.returncode == 2
    assert first.startswith("error: ")
    assert message in first
    assert hint in second
    assert list(tmp_path.rglob("*")) == []
