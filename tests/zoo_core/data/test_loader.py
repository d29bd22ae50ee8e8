"""Batches by position: batch k is the same however often the run was interrupted."""

import multiprocessing
import os
import subprocess
from itertools import chain, islice

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from warm_python import PYTHON

from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import Batches, automatic_workers, in_order
from zoo_core.dataset import Batch, InMemory
from zoo_core.errors import BadSetting, RunFailed


class SingleExamples:
    """A map-style dataset without ``__getitems__``."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"number": torch.tensor(index)}


class Tuples(SingleExamples):
    def __getitem__(self, index):
        return (torch.tensor(index), 0)


def batches(count=20, batch_size=6, seed=3, examples=None, **options):
    """Three batches of six per epoch; two examples are dropped."""
    examples = examples or InMemory(number=torch.arange(count))
    return Batches(examples, lambda generator: torch.randperm(count, generator=generator), batch_size, seed, **options)


def numbers(batches, count):
    return [batch["number"].tolist() for batch in islice(batches, count)]


def flat(lists):
    return list(chain.from_iterable(lists))


@given(start=st.integers(0, 40), stops=st.lists(st.integers(1, 5), max_size=4))
def test_seeking_gives_the_same_batch_as_stepping(start, stops):
    expected = numbers(batches(), start + sum(stops) + 1)
    for stop in stops:  # a run that is interrupted repeatedly, also twice in one epoch
        resumed = batches()
        resumed.seek(start)
        assert numbers(resumed, stop) == expected[start : start + stop]
        start += stop
        assert resumed.position == start
    last = batches()
    last.seek(start)
    assert numbers(last, 1) == expected[start : start + 1]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", [InMemory, SingleExamples])
def test_workers_and_single_examples_give_the_same_batches(workers, kind):
    examples = SingleExamples(20) if kind is SingleExamples else None
    loader = batches(examples=examples, workers=workers)
    expected = numbers(batches(), 8)
    assert numbers(loader, 4) == expected[:4]
    loader.seek(1)
    assert numbers(loader, 1) == expected[1:2]
    loader.seek(5)
    assert numbers(loader, 3) == expected[5:]
    assert type(next(loader)) is Batch


def test_an_epoch_has_every_example_once_and_drops_the_incomplete_batch():
    loader = batches(count=18)
    for _ in range(3):
        assert sorted(flat(numbers(loader, 3))) == list(range(18))
    partial = flat(numbers(batches(count=20), 3))
    assert len(partial) == len(set(partial)) == 18
    assert batches(count=20).per_epoch == 3


def test_every_epoch_and_every_seed_has_its_own_order():
    one, two = numbers(batches(), 3), numbers(batches(seed=4), 3)
    other_epoch = batches()
    other_epoch.seek(3)
    assert len({str(order) for order in (one, two, numbers(other_epoch, 3))}) == 3


def test_the_order_neither_depends_on_nor_changes_the_global_random_state():
    torch.manual_seed(1)
    one = numbers(batches(), 5)
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    assert numbers(batches(), 5) == one
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("world", [2, 3])
def test_a_batch_is_split_among_processes_without_overlap(world):
    expected = numbers(batches(), 7)
    parts = [numbers(batches(rank=rank, world=world), 7) for rank in range(world)]
    for number, batch in enumerate(expected):
        assert flat(part[number] for part in parts) == batch


def test_a_batch_size_that_is_not_divisible_by_the_number_of_processes_is_refused():
    with pytest.raises(BadSetting, match=r"run\.batch_size is 6, but should be divisible by 4 \(processes: 4\)\."):
        batches(world=4)


def test_a_batch_size_larger_than_the_dataset_is_refused():
    with pytest.raises(BadSetting, match=r"run\.batch_size is 21, but the dataset has only 20 training") as error:
        batches(batch_size=21)
    assert error.value.hint == "Write `run.batch_size=20` or less."
    assert batches(batch_size=20).per_epoch == 1


def test_an_order_that_becomes_shorter_is_an_error():
    shrinking = iter([20, 20, 17])  # called for its length, then for two epochs
    loader = Batches(InMemory(number=torch.arange(20)), lambda generator: torch.arange(next(shrinking)), 6, seed=3)
    assert len(flat(numbers(loader, 3))) == 18
    with pytest.raises(RunFailed, match=r"Trainer\.order returned 17 indices for epoch 1, but 20 before\.") as error:
        next(loader)
    assert error.value.hint == "Trainer.order should return the same number of indices for every epoch."


def test_an_order_that_still_fills_all_batches_is_accepted():
    shrinking = iter([20, 20, 18])
    loader = Batches(InMemory(number=torch.arange(20)), lambda generator: torch.arange(next(shrinking)), 6, seed=3)
    assert len(flat(numbers(loader, 6))) == 36


def test_examples_that_are_not_mappings_are_refused():
    with pytest.raises(BadSetting, match="of type tuple, but should be mappings"):
        next(batches(examples=Tuples(20)))


def test_a_missing_key_is_reported_with_the_available_ones():
    with pytest.raises(BadSetting, match="reads 'label', but the dataset's examples have 'number'"):
        next(batches())["label"]


@pytest.mark.parametrize("examples", [InMemory(number=torch.arange(20)), SingleExamples(20)])
def test_in_order_yields_all_examples_in_their_stored_order(examples):
    seen = [batch["number"].tolist() for batch in in_order(BatchMaker(examples), 6)]
    assert list(map(len, seen)) == [6, 6, 6, 2]
    assert flat(seen) == list(range(20))


WAITS_IN_AN_EPOCH = """
import time
import psutil, torch
import zoo_core as zoo
from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import in_order

def large(index):
    return {"image": torch.zeros(1000, 1000), "name": "n" * 100_000}

batches = iter(in_order(BatchMaker(zoo.GeneratedExamples(large, 1000)), 2, workers=2))
next(batches)
print(*[child.pid for child in psutil.Process().children()], flush=True)
time.sleep(60)
"""


def test_the_workers_of_a_killed_run_exit():
    with subprocess.Popen([PYTHON, "-c", WAITS_IN_AN_EPOCH], stdout=subprocess.PIPE, text=True) as run:
        workers = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
        run.kill()
    try:
        assert len(workers) == 2
        alive = psutil.wait_procs(workers, timeout=20)[1]
        assert not [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE]
    finally:
        for worker in workers:
            if worker.is_running():
                worker.kill()


@pytest.mark.parametrize(
    ("options", "divisor", "nearest"),
    [
        ({"world": 2}, "2 (processes: 2)", 6),
        ({"parts": 3}, "3 (run.grad_accumulation_steps: 3)", 6),
        ({"world": 2, "parts": 2}, "4 (processes: 2, run.grad_accumulation_steps: 2)", 4),
    ],
)
def test_an_indivisible_batch_size_is_refused_with_the_divisor_and_the_nearest_valid_size(options, divisor, nearest):
    with pytest.raises(BadSetting) as refused:
        Batches(SingleExamples(20), lambda generator: torch.arange(20), 7, seed=0, **options)
    assert refused.value.message == f"run.batch_size is 7, but should be divisible by {divisor}."
    assert refused.value.hint == f"Write `run.batch_size={nearest}`."


def test_by_default_up_to_four_workers_load_for_an_accelerator_what_is_not_in_memory(monkeypatch):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert automatic_workers(SingleExamples(20)) == min(4, cores - 1)
    assert automatic_workers(InMemory(number=torch.arange(20))) == 0
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores))
    assert automatic_workers(SingleExamples(20)) == 0


def test_by_default_no_workers_load_for_the_cpu():
    before = multiprocessing.active_children()
    given = batches(examples=SingleExamples(20), workers=None)
    assert numbers(given, 4) == numbers(batches(), 4)
    assert set(multiprocessing.active_children()) <= set(before)
