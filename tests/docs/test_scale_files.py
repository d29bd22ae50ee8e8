"""What docs/scale shows works as it stands: the scripts are run, with two processes for two machines."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import fsspec
import numpy as np
import pytest
import torch
import yaml
from repository import ROOT

PAGES = ROOT / "docs" / "scale"
WORDS = ["digit-classifier-mnist", "dataset.source=subset", "run.device=cpu", "run.batch_size=8", "run.steps=200",
         "run.log_every=5", "run.checkpoint_every=0"]  # fmt: skip
# What SLURM's srun does with a step, as far as slurm.sbatch uses it.
SRUN = """#!/usr/bin/env bash
shift
tasks=()
for ((task = 0; task < SLURM_NTASKS; task++)); do
  SLURM_PROCID=$task SLURM_LOCALID=$task "$@" &
  tasks+=($!)
done
trap 'kill -TERM "${tasks[@]}"' TERM
echo $$ >"$(dirname "$0")/srun.pid"
highest=0
for task in "${tasks[@]}"; do
  code=0
  wait "$task" || code=$?
  while kill -0 "$task" 2>/dev/null; do code=0; wait "$task" || code=$?; done
  ((code > highest)) && highest=$code
done
exit $highest
"""
SCONTROL = """#!/usr/bin/env bash
echo "$@" >>"$(dirname "$0")/scontrol.log"
echo 127.0.0.1
"""


@pytest.fixture
def surroundings(tmp_path):
    """The commands of this Python, and SLURM's as they are made up here, are found first."""
    programs = tmp_path / "bin"
    programs.mkdir()
    scripts = {
        "zoo": f'#!/bin/sh\nexec {sys.executable} -m zoo_core "$@"\n',
        "torchrun": f'#!/bin/sh\nexec {sys.executable} -m torch.distributed.run "$@"\n',
        "srun": SRUN,
        "scontrol": SCONTROL,
    }
    for name, text in scripts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "RUN": str(tmp_path / "run"),
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C",
    }
    (tmp_path / "run").mkdir()  # as a run leaves it that is killed before it begins
    (tmp_path / "run" / ".lock").touch()
    return {**os.environ, **given, "NODES": "2", "MASTER_PORT": str(port), "LOCAL_ADDR": "127.0.0.1"}


def start(surroundings, script, **more):
    command = ["bash", str(PAGES / script), *WORDS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env={**surroundings, **more}, **pipes)


def end(*processes):
    """Their exit codes, and all that they said."""
    said = [process.communicate(timeout=300)[0] for process in processes]
    return [process.returncode for process in processes], "".join(said)


def wait_for_steps(run):
    """Until all processes are at work, which listen to signals by then."""
    metrics, patience = run / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < patience
        time.sleep(0.05)


def steps(run):
    return [int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir()]


@pytest.mark.slow
def test_torchrun_on_two_machines_stops_on_all_and_goes_on_when_it_is_called_again(surroundings, tmp_path):
    def both():
        return [start(surroundings, "torchrun.sh", NODE_RANK=str(rank)) for rank in range(2)]

    machines = both()
    wait_for_steps(tmp_path / "run")
    machines[1].send_signal(signal.SIGTERM)  # the one without the first process
    codes, said = end(*machines)
    assert codes == [75, 75], said
    (stopped,) = steps(tmp_path / "run")
    assert 0 < stopped < 200

    codes, said = end(*both())
    assert codes == [0, 0], said
    assert "done, step 200" in said
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2
    assert stopped in steps(tmp_path / "run")

    assert end(start(surroundings, "torchrun.sh", NODE_RANK="1")) == ([0], "")


@pytest.mark.slow
def test_a_mistake_ends_torchrun_sh_before_it_begins(surroundings):
    words = [*WORDS, "run.stepz=3"]
    done = subprocess.run(
        ["bash", str(PAGES / "torchrun.sh"), *words], env=surroundings, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "run.stepz" in done.stderr


@pytest.mark.slow
def test_torchrun_sh_spares_a_folder_that_is_no_runs(surroundings, tmp_path):
    kept = tmp_path / "run" / "thesis.tex"
    kept.touch()
    done = subprocess.run(
        ["bash", str(PAGES / "torchrun.sh"), *WORDS], env=surroundings, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert kept.exists()


@pytest.mark.slow
def test_slurm_puts_a_stopped_job_back_and_it_goes_on(surroundings, tmp_path):
    slurm = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "here"}
    job = start(surroundings, "slurm.sbatch", **slurm)
    wait_for_steps(tmp_path / "run")
    os.kill(int((tmp_path / "bin" / "srun.pid").read_text()), signal.SIGTERM)
    codes, said = end(job)
    assert codes == [143], said
    (stopped,) = steps(tmp_path / "run")
    log = tmp_path / "bin" / "scontrol.log"
    assert log.read_text().splitlines() == ["show hostnames here", "requeue 7"]

    codes, said = end(start(surroundings, "slurm.sbatch", **slurm))
    assert codes == [0], said
    assert stopped in steps(tmp_path / "run")
    assert log.read_text().count("requeue") == 1


@pytest.mark.parametrize("script", ["torchrun.sh", "slurm.sbatch"])
def test_the_scripts_are_bash(script):
    subprocess.run(["bash", "-n", str(PAGES / script)], check=True)


def test_the_job_of_kubernetes_is_consistent():
    service, claim, job = yaml.safe_load_all((PAGES / "kubernetes.yaml").read_text())
    assert [part["kind"] for part in (service, claim, job)] == ["Service", "PersistentVolumeClaim", "Job"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {one["name"]: one["value"] for one in container["env"]}
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(given["NODES"])
    assert given["MASTER_ADDR"] == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert int(given["PROCESSES"]) == container["resources"]["limits"]["nvidia.com/gpu"]
    assert int(given["SHUTDOWN_TIMEOUT"]) < pod["terminationGracePeriodSeconds"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert set(given) - {"ZOO_DATA"} <= set(re.findall(r"[A-Z_]{3,}", (PAGES / "torchrun.sh").read_text()))


@pytest.fixture
def stored(tmp_path):
    """The plugin of data.md, in its own file."""
    (text,) = re.findall(r"^```python\n(.*?)^```", (PAGES / "data.md").read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "stored.py"
    file.write_text(text)
    return file


def store(address, count):
    filesystem, path = fsspec.url_to_fs(address)
    for number in range(count):
        filesystem.makedirs(f"{path}/{number % 10}", exist_ok=True)
        with filesystem.open(f"{path}/{number % 10}/{number:04}.npy", "wb") as file:
            np.save(file, np.full((28, 28), number, np.uint8))


def test_examples_come_from_a_storage_by_number(stored):
    specification = importlib.util.spec_from_file_location("stored", stored)
    module = importlib.util.module_from_spec(specification)
    sys.modules["stored"] = module  # where a data class looks for its module
    specification.loader.exec_module(module)
    store("memory://digits", 20)
    examples = module.ObjectReader("memory://digits")
    batch = examples([3, 0])
    assert batch["image"].shape == (2, 1, 28, 28)
    assert torch.equal(batch["label"], torch.tensor([1, 0]))  # 0/0000, 0/0010, 1/0001, 1/0011
    assert batch["image"][:, 0, 0, 0].mul(255).round().tolist() == [11, 0]


@pytest.mark.slow
def test_a_run_reads_its_examples_from_a_storage_in_loader_processes(stored, tmp_path):
    store(f"file://{tmp_path}/train", 80)
    store(f"file://{tmp_path}/test", 20)
    words = [f"dataset.train_url=file://{tmp_path}/train", f"dataset.test_url=file://{tmp_path}/test"]
    words += ["run.device=cpu", "run.batch_size=16", "run.epochs=2", "--folder", str(tmp_path / "run")]
    command = [sys.executable, "-m", "zoo_core", "--plugin", str(stored), "run", "stored-digits", *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "done, step 10" in done.stdout
