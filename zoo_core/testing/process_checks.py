"""The check of a recipe in two processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from zoo_core.config.command_line import PLUGIN_FILES
from zoo_core.testing.check import Skip, Subject, check, require
from zoo_core.testing.first_gradients import difference, first_gradients
from zoo_core.testing.process_pair import read_sample
from zoo_core.testing.recipe_checks import SMALL_RUN, accumulated, built, small_recipe, suitable
from zoo_core.testing.sample_evaluation import NUM_EXAMPLES, different, evaluate
from zoo_core.weights.format import read_tensors


@check(
    "recipe",
    "Distributed training works: all processes end with the same weights and the same state, and have the gradients "
    "and metrics of a single process.",
    "Pass every trained network to engine.prepare(), call engine.backward(), divide sums of losses by "
    "engine.normalizer(), and combine values that are computed from the batch of one process with engine.sum() or "
    "gather().",
)
def two_processes_agree(subject: Subject) -> None:
    if not torch.distributed.is_available():
        raise Skip("this build of PyTorch has no torch.distributed")
    files = [info for info in subject.catalog.plugins.infos if info.distribution == "your file"]
    if files and not os.environ.get(PLUGIN_FILES):  # set by `zoo --plugin FILE`, and inherited by child processes
        raise Skip("other processes load a plugin from a single file only with `zoo --plugin FILE`")
    recipe = small_recipe(subject)  # raises Skip if a setting is required
    with TemporaryDirectory() as name:
        overrides = [*SMALL_RUN, *subject.overrides, "run.steps=2", _pair(subject), "run.checkpoint_every=0"]
        overrides = suitable(recipe, overrides)
        launcher = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--local-addr",
            "127.0.0.1",
            "--nproc-per-node",
            "2",
        ]
        command = [*launcher, "-m", "zoo_core.testing.process_pair", name, subject.name, *overrides]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)  # noqa: S603  # this Python
        require(done.returncode == 0, f"two processes fail: {_last_error(done.stderr)}")
        ends = [read_tensors(Path(name, f"rank-{rank}.safetensors")) for rank in range(2)]
        for key, tensor in ends[0].items():
            # The running statistics of plain batch normalization differ between processes.
            if not key.endswith(("running_mean", "running_var")):
                require(torch.equal(tensor, ends[1][key]), f"'{key}' differs between two processes")
        states = [json.loads(Path(name, f"rank-{rank}.json").read_text()) for rank in range(2)]
        for attribute, value in states[0].items():
            require(value == states[1][attribute], f"the trainer's self.{attribute} differs between two processes")
        _compare_with_one_process(subject, Path(name))


def _compare_with_one_process(subject: Subject, folder: Path) -> None:
    """Fail unless the gradients and metrics of two processes are those of one; what is random is not compared."""
    gradients, metrics = read_sample(folder)
    with built(subject, overrides=(_pair(subject),)) as loop:
        if metrics:
            alone = evaluate(loop, NUM_EXAMPLES)
            found = different(alone, metrics)
            is_random = bool(found) and bool(different(alone, evaluate(loop, NUM_EXAMPLES, seed=1)))
            require(not found or is_random, f"evaluated in one process and in two, {', '.join(found[:3])}")
        if not gradients:
            return
        expected = first_gradients(loop)
    found_gradients = difference(expected, gradients)
    if found_gradients:
        with built(subject, overrides=(_pair(subject),)) as loop:
            is_random = bool(difference(expected, first_gradients(loop, seed=1)))
        require(is_random, f"in two processes instead of one, {found_gradients}")


def _pair(subject: Subject) -> str:
    """A batch of 8 examples or more, which two processes share in as many parts as the recipe says."""
    parts = 2 * accumulated(subject)
    return f"run.batch_size={-(-8 // parts) * parts}"


def _last_error(text: str) -> str:
    """The error of the process that failed first, without the errors that follow from it and those of the launcher."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [line for line in lines if re.match(r"(\[rank\d\]: )?[\w.]*(Error|Exception|Failed)\b", line)]
    ours = [line for line in raised if "ChildFailedError" not in line]
    first = [line for line in ours if line[:7] == ours[0][:7]]  # "[rank1]"
    return (first or raised or lines or ["no output"])[-1]
