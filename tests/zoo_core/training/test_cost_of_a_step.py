"""What the framework adds to a trainer's own step, in operations and in waits for the device: no clock, no noise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import RECIPE, catalog
from torch.profiler import ProfilerActivity, profile

from tests.helpers.steps import perform
from zoo_core.registry.resolve import resolve
from zoo_core.training.assemble import try_out

STEPS = 40
READ = "aten::_local_scalar_dense"  # what item(), float() and bool() of a tensor come down to


def loop_of(folder: Path, *words: str):
    here = catalog()
    quiet = [f"run.steps={STEPS}", "run.checkpoint_every=0", "run.preview_every=0", "run.device=cpu", *words]
    return try_out(resolve(RECIPE.with_overrides(quiet), here), folder)


def operations(work: Callable[[], object]) -> Counter[str]:
    """How often each of PyTorch's operations was called, by whomever."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    return Counter({one.key: one.count for one in seen.key_averages() if one.key.startswith("aten::")})


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """The operations of the trainer's steps on batches that are there."""
    loop = loop_of(tmp_path_factory.mktemp("alone"))
    batches = [next(loop.batches) for _ in range(STEPS)]
    return operations(lambda: [perform(loop.run.trainer, batch) for batch in batches])


def test_a_step_costs_a_few_operations_more_than_the_trainers_own(tmp_path: Path, alone: Counter[str]) -> None:
    loop = loop_of(tmp_path, "run.log_every=1000")
    added = operations(loop._steps) - alone
    assert added["aten::index_select"] == 2 * STEPS  # a batch of two tensors, taken whole
    assert sum(added.values()) / STEPS < 20  # those, the bookkeeping in them, and the epochs' orders


def test_a_step_waits_for_the_device_only_where_it_logs(tmp_path: Path, alone: Counter[str]) -> None:
    waits = {}
    for every in (5, 10, 20, 40):
        seen = operations(loop_of(tmp_path / str(every), f"run.log_every={every}")._steps)
        waits[STEPS // every] = seen[READ] - alone[READ]
    assert waits == {logged: logged * waits[1] for logged in (8, 4, 2, 1)}
    assert waits[1] > 0


FAULTS = """
import resource, sys
from pathlib import Path
import zoo_core as zoo

class Faults:
    seen = []

    @zoo.hookimpl
    def zoo_step_finished(self, run, step):
        self.seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)

words = ("dataset.source=subset", "run.steps=100", "run.device=cpu", "run.threads=2")
zoo.run("digit-classifier-mnist", *words, callbacks=[Faults()], folder=Path("run"))
print((Faults.seen[-2] - Faults.seen[59]) // 39)  # the first steps take what they need, and the last draws a preview
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
@pytest.mark.long
def test_a_step_on_the_cpu_requests_no_new_memory_from_the_system(tmp_path: Path) -> None:
    """A page of memory that is handed out again costs a fault and is filled with zeros."""

    def faults(**more: str) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
        folder = tmp_path / ("told" if more else "kept")
        folder.mkdir()
        command = [sys.executable, "-c", FAULTS]
        done = subprocess.run(
            command, cwd=folder, env={**environment, **more}, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout.splitlines()[-1])

    kept = faults()
    assert kept < 100
    assert kept < faults(MALLOC_ARENA_MAX="8")  # what the environment says of malloc counts
