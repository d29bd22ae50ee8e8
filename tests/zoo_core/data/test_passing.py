"""Batches that pass from a worker with their file descriptors."""

from __future__ import annotations

import os
import resource
import signal
import time

import pytest
import torch
from failing_examples import Points

from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import Batches, in_order
from zoo_core.data.workers import LoadingStopped
from zoo_core.errors import RunFailed


class ManyTensors(Points):
    def __getitem__(self, index):
        return {f"tensor {number}": torch.full((1,), index + number) for number in range(450)}


class StopsItself(Points):
    """Its worker stops answering, as one does whose library never returns."""

    def __getitem__(self, index):
        if index == 5:
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().__getitem__(index)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_any_number_of_tensors_passes_and_no_descriptor_is_left_open():
    list(in_order(BatchMaker(Points(4, "", 0, ".")), 2, workers=2))  # multiprocessing keeps a file for shared numbers
    before = descriptors()
    for number, batch in enumerate(in_order(BatchMaker(ManyTensors(8, "", 0, ".")), 2, workers=2)):
        assert [int(value[0]) for value in batch.values()] == [2 * number + place for place in range(450)]
    del batch
    assert descriptors() == before


def test_tensors_that_share_memory_pass():
    class Views(Points):
        def __getitems__(self, indices):
            whole = torch.arange(10)
            return {"first": whole[:5], "last": whole[5:], "again": whole}

    for batch in in_order(BatchMaker(Views(4, "", 0, ".")), 2, workers=1):
        assert torch.equal(torch.cat([batch["first"], batch["last"]]), batch["again"])


def test_a_batch_that_is_ready_does_not_wait_for_a_worker_that_is_stuck_in_the_next_one():
    batches = Batches(StopsItself(40, "", 0, "."), lambda generator: torch.arange(40), 2, 0, workers=2)
    time.sleep(0.1)
    assert [len(next(batches)["point"]) for _ in range(2)] == [2, 2]
    start = time.monotonic()
    batches.stop.check = lambda: time.monotonic() > start + 0.5
    with pytest.raises(LoadingStopped):
        next(batches)
    assert time.monotonic() - start < 5


def test_too_many_open_files_are_named_with_the_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    batches = in_order(BatchMaker(ManyTensors(8, "", 0, ".")), 2, workers=1)
    kept = [next(batches)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 100, hard))
    try:
        with pytest.raises(RunFailed, match="need too many open files") as error:
            kept += list(batches)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in error.value.hint
