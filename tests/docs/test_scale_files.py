"""The scripts and the Python code of docs/scale run, with two processes in place of two machines."""

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
from warm_python import PYTHON

pytestmark = pytest.mark.xdist_group("processes")
PAGES = ROOT / "docs" / "scale"
OVERRIDES = ["digit-classifier-mnist", "dataset.source=subset", "run.device=cpu", "run.batch_size=8", "run.steps=200",
         "run.log_every=5", "run.checkpoint_every=0"]  # fmt: skip
# The behavior of SLURM's srun that slurm.sbatch relies on.
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
def environment(tmp_path):
    """An environment whose PATH starts with this Python's commands and with substitutes for SLURM's."""
    programs = tmp_path / "bin"
    programs.mkdir()
    scripts = {
        "zoo": f'#!/bin/sh\nexec {PYTHON} -m zoo_core "$@"\n',
        "torchrun": f'#!/bin/sh\nexec {PYTHON} -m torch.distributed.run "$@"\n',
        "srun": SRUN,
        "scontrol": SCONTROL,
    }
    for name, text in scripts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "RUN": str(tmp_path / "run"),
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C",
    }
    (tmp_path / "run").mkdir()  # left by a run that was killed before its first step
    (tmp_path / "run" / ".lock").touch()
    return {**os.environ, **variables, "NODES": "2", "MASTER_PORT": str(port), "LOCAL_ADDR": "127.0.0.1"}


def start(environment, script, **variables):
    command = ["bash", str(PAGES / script), *OVERRIDES]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env={**environment, **variables}, **pipes)


def wait_for(*processes):
    """The exit codes and the output of all processes, when they have ended."""
    output = [process.communicate(timeout=300)[0] for process in processes]
    return [process.returncode for process in processes], "".join(output)


def wait_for_steps(run):
    """Wait until all processes train; they handle signals from then on."""
    metrics, deadline = run / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def steps(run):
    return [int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir()]


@pytest.mark.long
def test_torchrun_sh_stops_on_both_machines_and_resumes_when_it_is_called_again(environment, tmp_path):
    def both():
        return [start(environment, "torchrun.sh", NODE_RANK=str(rank)) for rank in range(2)]

    machines = both()
    wait_for_steps(tmp_path / "run")
    machines[1].send_signal(signal.SIGTERM)  # the machine without rank zero
    codes, output = wait_for(*machines)
    assert codes == [75, 75], output
    (stopped,) = steps(tmp_path / "run")
    assert 0 < stopped < 200

    codes, output = wait_for(*both())
    assert codes == [0, 0], output
    assert "done, step 200" in output
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2
    assert stopped in steps(tmp_path / "run")

    assert wait_for(start(environment, "torchrun.sh", NODE_RANK="1")) == ([0], "")


def test_torchrun_sh_exits_with_2_before_training_if_a_setting_is_unknown(environment):
    overrides = [*OVERRIDES, "run.stepz=3"]
    done = subprocess.run(
        ["bash", str(PAGES / "torchrun.sh"), *overrides], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "run.stepz" in done.stderr


def test_torchrun_sh_keeps_a_folder_that_does_not_belong_to_a_run(environment, tmp_path):
    kept = tmp_path / "run" / "thesis.tex"
    kept.touch()
    done = subprocess.run(
        ["bash", str(PAGES / "torchrun.sh"), *OVERRIDES], env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert kept.exists()


def test_slurm_requeues_a_stopped_job_which_then_resumes(environment, tmp_path):
    slurm = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "here"}
    job = start(environment, "slurm.sbatch", **slurm)
    wait_for_steps(tmp_path / "run")
    os.kill(int((tmp_path / "bin" / "srun.pid").read_text()), signal.SIGTERM)
    codes, output = wait_for(job)
    assert codes == [143], output
    (stopped,) = steps(tmp_path / "run")
    log = tmp_path / "bin" / "scontrol.log"
    assert log.read_text().splitlines() == ["show hostnames here", "requeue 7"]

    codes, output = wait_for(start(environment, "slurm.sbatch", **slurm))
    assert codes == [0], output
    assert stopped in steps(tmp_path / "run")
    assert log.read_text().count("requeue") == 1


@pytest.mark.parametrize("script", ["torchrun.sh", "slurm.sbatch"])
def test_the_scripts_are_valid_bash(script):
    subprocess.run(["bash", "-n", str(PAGES / script)], check=True)


def test_the_kubernetes_job_is_consistent():
    service, claim, job = yaml.safe_load_all((PAGES / "kubernetes.yaml").read_text())
    assert [part["kind"] for part in (service, claim, job)] == ["Service", "PersistentVolumeClaim", "Job"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(variables["NODES"])
    assert variables["MASTER_ADDR"] == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert int(variables["PROCESSES"]) == container["resources"]["limits"]["nvidia.com/gpu"]
    assert int(variables["SHUTDOWN_TIMEOUT"]) < pod["terminationGracePeriodSeconds"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert set(variables) - {"ZOO_DATA"} <= set(re.findall(r"[A-Z_]{3,}", (PAGES / "torchrun.sh").read_text()))


@pytest.fixture
def stored(tmp_path):
    """The file of the plugin in data.md."""
    (text,) = re.findall(r"^```python\n(.*?)^```", (PAGES / "data.md").read_text(), re.MULTILINE | re.DOTALL)
    file = tmp_path / "stored.py"
    file.write_text(text)
    return file


def store(url, count):
    filesystem, path = fsspec.url_to_fs(url)
    for number in range(count):
        filesystem.makedirs(f"{path}/{number % 10}", exist_ok=True)
        with filesystem.open(f"{path}/{number % 10}/{number:04}.npy", "wb") as file:
            np.save(file, np.full((28, 28), number, np.uint8))


def test_examples_are_read_from_a_storage_by_index(stored):
    specification = importlib.util.spec_from_file_location("stored", stored)
    module = importlib.util.module_from_spec(specification)
    sys.modules["stored"] = module  # dataclasses look up their module
    specification.loader.exec_module(module)
    store("memory://digits", 20)
    examples = module.ObjectReader("memory://digits")
    batch = examples([3, 0])
    assert batch["image"].shape == (2, 1, 28, 28)
    assert torch.equal(batch["label"], torch.tensor([1, 0]))  # 0/0000, 0/0010, 1/0001, 1/0011
    assert batch["image"][:, 0, 0, 0].mul(255).round().tolist() == [11, 0]


def test_a_run_reads_examples_from_a_storage_in_loader_processes(stored, tmp_path):
    store(f"file://{tmp_path}/train", 80)
    store(f"file://{tmp_path}/test", 20)
    overrides = [f"dataset.train_url=file://{tmp_path}/train", f"dataset.test_url=file://{tmp_path}/test"]
    overrides += ["run.device=cpu", "run.batch_size=16", "run.epochs=2", "--folder", str(tmp_path / "run")]
    command = [PYTHON, "-m", "zoo_core", "--plugin", str(stored), "run", "stored-digits", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "done, step 10" in done.stdout
