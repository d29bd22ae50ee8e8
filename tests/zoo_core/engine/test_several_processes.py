"""Runs in several processes: the results are those of one process, and no failure makes a run hang."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import torch
from repository import HELPERS
from safetensors.torch import load_file
from warm_python import PYTHON

from zoo_core.tools.top.read import read_run

PLUGIN = HELPERS / "recording_plugin.py"
pytestmark = pytest.mark.xdist_group("processes")


def command(*words, python=PYTHON):
    return [python, "-m", "zoo_core", "--plugin", str(PLUGIN), "run", *map(str, words)]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def run(*words, code=0, **environment):
    """Run the command and return the finished process with its ``stdout`` and ``stderr``."""
    environment = {**ENVIRONMENT, **environment}
    done = subprocess.run(command(*words), capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == code, done.stderr
    return done


def weights(folder):
    return load_file(folder / "model.safetensors")


def state(folder, step):
    """Every tensor of a checkpoint, by file and name, and its values that are not tensors."""
    path = folder / "checkpoints" / f"step-{step:09d}"
    tensors = {(file.name, key): one for file in path.glob("*.safetensors") for key, one in load_file(file).items()}
    return tensors, json.loads((path / "state.json").read_text())["held"]


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-4, atol=1e-6)


def assert_same(folder, other, step):
    (tensors, held), (others, other_held) = state(folder, step), state(other, step)
    assert tensors.keys() == others.keys()
    assert [key for key, one in tensors.items() if not torch.equal(one, others[key])] == []
    for one in (held, other_held):
        del one["run.recipe"]  # it states where the indices are recorded
    assert held == other_held
    assert metrics(folder) == metrics(other)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The recipes ``one`` and ``two`` (networks), trained in one process and in two."""
    root = tmp_path_factory.mktemp("runs")
    for recipe in ("one", "two"):
        record = root / f"record-{recipe}"
        record.mkdir()
        run(recipe, "--folder", root / f"{recipe}-alone")
        done = run(recipe, f"trainer.record={record}", "--processes", 2, "--folder", root / f"{recipe}-together")
        (root / f"{recipe}-output").write_text(done.stdout + done.stderr)
    return root


@pytest.mark.parametrize("recipe", ["one", "two"])
def test_two_processes_with_half_the_batch_each_train_the_weights_of_one(folders, recipe):
    assert_close(weights(folders / f"{recipe}-alone"), weights(folders / f"{recipe}-together"))


@pytest.mark.parametrize("recipe", ["one", "two"])
def test_step_metrics_are_averaged_over_the_processes(folders, recipe):
    alone, together = metrics(folders / f"{recipe}-alone"), metrics(folders / f"{recipe}-together")
    assert [line["step"] for line in together] == [3, 6, 9, 12, 12]
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_each_example_is_used_once_per_epoch(folders):
    seen = [numbers(folders, "trained", rank) for rank in range(2)]
    assert [len(of_rank) for of_rank in seen] == [12, 12]
    assert {len(batch) for of_rank in seen for batch in of_rank} == {32}
    for epoch in range(6):  # of two steps of 64; two of the 130 examples are dropped
        both = [number for of_rank in seen for batch in of_rank[2 * epoch : 2 * epoch + 2] for number in batch]
        assert len(set(both)) == len(both) == 128


def test_the_evaluation_uses_each_example_once_whatever_the_remainder(folders):
    seen = [number for rank in range(2) for batch in numbers(folders, "evaluated", rank) for number in batch]
    assert sorted(seen) == list(range(13))
    assert metrics(folders / "one-together")[-1]["count"] == 13


def numbers(folders, what, rank):
    file = folders / "record-one" / f"{what}-{rank}"
    return [list(map(int, line.split())) for line in file.read_text().splitlines()]


def test_only_rank_zero_writes_files_prints_and_calls_hooks(folders):
    alone, together = folders / "one-alone", folders / "one-together"

    def files(folder):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "tfevents" not in path.name)

    assert files(alone) == files(together)
    assert len(list(together.glob("*tfevents*"))) == 1
    assert [path.name for path in (folders / "record-one").glob("hook-*")] == ["hook-0"]
    output = (folders / "one-output").read_text()
    assert output.count("one: done, step 12") == output.count("step 3/12") == output.count("step 12 evaluation") == 1
    assert json.loads((together / "environment.json").read_text())["processes"] == 2


@pytest.mark.parametrize(("first", "second"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.long)])
def test_a_run_resumes_in_another_number_of_processes_with_a_warning(folders, tmp_path, first, second):
    run("one", "run.steps=8", "--processes", first, "--folder", tmp_path / "run")
    done = run("--resume", tmp_path / "run", "run.steps=12", "--processes", second)
    assert f"warning: processes is now {second} (was {first})" in done.stderr
    assert_close(weights(folders / "one-alone"), weights(tmp_path / "run"))


@pytest.mark.parametrize(
    ("recipe", "processes"),
    [pytest.param("one", 1, marks=pytest.mark.long), ("two", 1), pytest.param("one", 2, marks=pytest.mark.long)],
)
def test_gradient_accumulation_gives_the_step_of_the_batch(folders, tmp_path, recipe, processes):
    run(recipe, "run.grad_accumulation_steps=4", "--processes", processes, "--folder", tmp_path / "run")
    assert_close(weights(folders / f"{recipe}-alone"), weights(tmp_path / "run"))


def test_two_processes_publish_the_weights_of_the_best_checkpoint(folders, tmp_path):
    best = ["run.evaluate_every=3", "run.monitor=error", "run.load_best_at_end=true"]  # the highest is that of step 3
    for name, words in (("alone", []), ("two", ["--processes", 2]), ("fsdp", ["run.fsdp=true", "--processes", 2])):
        done = run("one", *best, *words, "--folder", tmp_path / name)
        assert "of step 3, the best by error" in done.stdout
        assert_close(weights(tmp_path / name), weights(tmp_path / "alone"))
    last = weights(folders / "one-alone")
    assert not any(torch.equal(one, last[name]) for name, one in weights(tmp_path / "alone").items())


def test_a_sharded_network_trains_like_an_unsharded_one_and_resumes_either_way(folders, tmp_path):
    run("one", "run.fsdp=true", "--processes", 2, "--folder", tmp_path / "sharded")
    assert_close(weights(folders / "one-alone"), weights(tmp_path / "sharded"))
    assert metrics(tmp_path / "sharded")[-1] == pytest.approx(metrics(folders / "one-alone")[-1], rel=1e-4)

    run("one", "run.fsdp=true", "run.steps=8", "--processes", 2, "--folder", tmp_path / "other")
    run("--resume", tmp_path / "other", "run.fsdp=false", "run.steps=12")
    assert_close(weights(folders / "one-alone"), weights(tmp_path / "other"))

    run("one", "run.steps=8", "--folder", tmp_path / "third")
    run("--resume", tmp_path / "third", "run.fsdp=true", "run.steps=12", "--processes", 2)
    assert_close(weights(folders / "one-alone"), weights(tmp_path / "third"))


@pytest.mark.parametrize(
    "words",
    [["run.precision=float32"], ["run.precision=bfloat16", "dataset.size=32"]],
)
@pytest.mark.long
def test_a_large_unet_is_sharded_without_changes(tmp_path, words):
    done = run(
        "unet-moving-mnist", "dataset.source=subset", "run.steps=2", "run.batch_size=4", "dataset.test_clips=3",
        "dataset.validation_clips=3", "run.ema_decay=0", "run.fsdp=true", "run.device=cpu", *words,
        "--processes", 2, "--folder", tmp_path / "run",
    )  # fmt: skip
    assert "done, step 2" in done.stdout
    assert sum(tensor.numel() for tensor in weights(tmp_path / "run").values()) > 1_900_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["two", "run.fsdp=true"], "the trainer has several networks"),
        (["copying", "run.fsdp=true"], "holds self.copy, a full copy"),
        pytest.param(
            ["unet-moving-mnist", "dataset.source=subset", "run.fsdp=true"],
            "run.ema_decay is 0.999, but run.fsdp shards the weights",
            marks=pytest.mark.long,
        ),
        (["one", "run.batch_size=7"], "should be divisible by 2 (processes: 2)"),
        pytest.param(["one", "run.sync_batch_norm=true"], "CPUs are not supported", marks=pytest.mark.long),
    ],
)
def test_unsupported_settings_are_reported_once(tmp_path, words, message):
    done = run(*words, "run.device=cpu", "--processes", 2, "--folder", tmp_path / "run", code=2)
    assert done.stderr.count("error:") == 1, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_killed_process_ends_the_others_and_the_run_resumes_exactly(folders, tmp_path, workers):
    start = time.monotonic()
    folder = tmp_path / "run"
    words = ["one", f"run.workers={workers}", "--processes", 2, "--folder", folder]
    done = run(*words, code=1, KILL_AT="7")
    assert time.monotonic() - start < 120  # "no hang", with room for a slow machine
    assert "process 1 of 2 was ended by SIGKILL; the other processes were ended, too." in done.stderr
    assert "--resume" in done.stderr
    run("--resume", folder, "--processes", 2)
    assert_same(folder, folders / "one-together", 12)


@pytest.mark.parametrize(
    ("rank", "number", "place"),
    [
        (1, signal.SIGKILL, "7"),
        (0, signal.SIGKILL, "7"),
        pytest.param(1, signal.SIGSEGV, "3", marks=pytest.mark.long),
        pytest.param(0, signal.SIGABRT, "1", marks=pytest.mark.long),
    ],
)
def test_the_terminal_the_record_and_zoo_top_name_the_signal_that_ended_a_process(tmp_path, rank, number, place):
    folder = tmp_path / "run"
    kill = {"KILL_AT": place, "KILL_RANK": str(rank), "KILL_SIGNAL": str(int(number))}
    done = run("one", "--processes", 2, "--folder", folder, code=1, **kill)
    cause = f"process {rank} of 2 was ended by {number.name}"
    assert [line for line in done.stderr.splitlines() if "error" in line.lower()] == [
        f"error: {cause}; the other processes were ended, too."
    ]
    assert "gloo" not in done.stderr
    assert "plugin or a library" not in done.stderr
    (session,) = json.loads((folder / "sessions.json").read_text())
    assert session["ended"] == f"failed: {cause}"
    status = read_run(folder)
    assert (status.state, status.note) == ("failed", cause)


def test_a_process_that_is_killed_before_the_first_step_is_named_alone(tmp_path):
    done = run("one", "--processes", 2, "--folder", tmp_path / "run", code=1, KILL_AT="setup")
    assert done.stderr.count("error:") == 1, done.stderr
    assert "error: process 1 of 2 was ended by SIGKILL; the other processes were ended, too." in done.stderr
    assert "gloo" not in done.stderr


def test_an_error_of_another_process_than_the_first_is_shown(tmp_path):
    done = run("one", "trainer.raise_at=7", "--processes", 2, "--folder", tmp_path / "run", code=1)
    assert "process 1 of 2:\nerror: the trainer 'one' raised ValueError: process 1 fails" in done.stderr
    assert done.stderr.count("error:") == 1
    status = read_run(tmp_path / "run")
    assert status.state == "failed"
    assert status.note.startswith("process 1 of 2: the trainer 'one' raised ValueError: process 1 fails")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_a_signal_stops_all_processes_at_one_step_with_its_checkpoint(tmp_path, number, code):
    folder = tmp_path / "run"
    words = command("one", "run.steps=100000", "run.checkpoint_every=0", "--processes", 2, "--folder", folder)
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(folder / "metrics.jsonl")
        process.send_signal(number)
        output = "".join(process.communicate(timeout=100))
    assert process.returncode == code, output
    assert f"stopped by {number.name} at step" in output
    (saved,) = (folder / "checkpoints").iterdir()
    assert f"at step {int(saved.name.removeprefix('step-')):,}" in output


def test_a_time_limit_stops_all_processes(tmp_path):
    words = ["one", "run.steps=100000", "--time-limit", "2s", "--processes", 2, "--folder", tmp_path / "run"]
    assert "stopped by the time limit at step" in run(*words, code=124).stdout


def test_processes_whose_launcher_is_killed_save_a_checkpoint_and_exit(tmp_path):
    folder = tmp_path / "run"
    words = ["one", "run.steps=1000000", "run.checkpoint_every=0", "--processes", 2, "--folder", folder]
    words = command(*words, python=sys.executable)  # its children are looked for
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as launcher:
        wait_for(folder / "metrics.jsonl")
        processes = psutil.Process(launcher.pid).children()
        launcher.kill()
    assert len(processes) == 2
    alive = psutil.wait_procs(processes, timeout=90)[1]
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert len(list((folder / "checkpoints").iterdir())) == 1
    (session,) = json.loads((folder / "sessions.json").read_text())
    assert session["ended"] == "stopped: by the end of the process that started it"
    assert read_run(folder).note == "by the end of the process that started it"


@pytest.mark.long
def test_torchrun_on_two_nodes_trains_the_weights_of_one_process(folders, tmp_path):
    folder = tmp_path / "run"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    launcher = [PYTHON, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    rendezvous = ["--master-addr", "127.0.0.1", "--master-port", str(port), "--local-addr", "127.0.0.1"]
    nodes = [start([*launcher, *rendezvous, "--node-rank", str(node), *command("one", "--folder", folder)[1:]])
             for node in range(2)]  # fmt: skip
    outputs = [node.communicate(timeout=300) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    assert "one: done, step 12" in outputs[0][0]
    assert outputs[1][0] == ""
    assert_close(weights(folders / "one-alone"), weights(folder))


def test_a_script_under_torchrun_can_train_twice(folders, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import zoo_core as zoo\nfor name in ('first', 'second'):\n    zoo.run('one', folder=name)\n")
    words = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    words += ["--nproc-per-node", "2", str(script)]
    environment = {**ENVIRONMENT, "ZOO_PLUGIN_FILES": str(PLUGIN)}
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for name in ("first", "second"):
        assert_same(tmp_path / name, folders / "one-together", 12)


@pytest.mark.long
def test_a_gan_with_batch_statistics_resumes_exactly_in_two_processes(tmp_path):
    words = ["clsgan-mnist", "dataset.source=subset", "run.device=cpu", "run.steps=120", "run.checkpoint_every=40",
             "run.log_every=20", "trainer.eval_classifier=", "trainer.cas_classifier=", "trainer.ada_start=0",
             "trainer.ada_target=1.0", "run.keep_checkpoints=9", "--processes", 2]  # fmt: skip
    run(*words, "--folder", tmp_path / "whole")
    assert state(tmp_path / "whole", 40)[1]["augments"]  # which depends on the losses of all processes
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for step in (80, 120):
        shutil.rmtree(tmp_path / "cut" / "checkpoints" / f"step-{step:09d}")
    run("--resume", tmp_path / "cut", "--processes", 2)
    assert_same(tmp_path / "cut", tmp_path / "whole", 120)


def start(words):
    return subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(file):
    """Wait until the file has content. An empty one is there before all processes have begun."""
    end = time.monotonic() + 100
    while not (file.exists() and file.stat().st_size):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    "word", ["run.grad_accumulation_steps=4", pytest.param("run.compile=default", marks=pytest.mark.long)]
)
def test_runs_with_accumulation_or_compilation_resume_exactly(tmp_path, word):
    if "compile" in word and shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler for a CPU")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run("one", word, "run.checkpoint_every=5", "--folder", whole)
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "checkpoints" / "step-000000012")
    run("--resume", cut)
    assert_same(whole, cut, 12)
