"""The position in the data is a number: batch k is the same batch, however often the run was stopped."""

import subprocess
import sys
from itertools import chain, islice

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.data.loader import Batches, in_order
from zoo_core.dataset import Batch, InMemory
from zoo_core.errors import BadSetting, RunFailed


class OneByOne:
    """Examples without ``__getitems__``, as a stranger's data set may have them."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"number": torch.tensor(index)}


class Bare(OneByOne):
    def __getitem__(self, index):
        return (torch.tensor(index), 0)


def batches(count=20, batch_size=6, seed=3, examples=None, **options):
    """Three batches of six an epoch, two examples left out."""
    examples = examples or InMemory(number=torch.arange(count))
    return Batches(examples, lambda generator: torch.randperm(count, generator=generator), batch_size, seed, **options)


def numbers(these, count):
    return [batch["number"].tolist() for batch in islice(these, count)]


def flat(lists):
    return list(chain.from_iterable(lists))


@given(start=st.integers(0, 40), stops=st.lists(st.integers(1, 5), max_size=4))
def test_seeking_gives_the_batch_that_stepping_would(start, stops):
    expected = numbers(batches(), start + sum(stops) + 1)
    for stop in stops:  # a run that is stopped again and again, also twice in one epoch
        resumed = batches()
        resumed.seek(start)
        assert numbers(resumed, stop) == expected[start : start + stop]
        start += stop
        assert resumed.position == start
    last = batches()
    last.seek(start)
    assert numbers(last, 1) == expected[start : start + 1]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", [InMemory, OneByOne])
def test_workers_and_single_examples_change_nothing(workers, kind):
    examples = OneByOne(20) if kind is OneByOne else None
    these = batches(examples=examples, workers=workers)
    expected = numbers(batches(), 8)
    assert numbers(these, 4) == expected[:4]
    these.seek(1)
    assert numbers(these, 1) == expected[1:2]
    these.seek(5)
    assert numbers(these, 3) == expected[5:]
    assert type(next(these)) is Batch


def test_an_epoch_has_every_example_once_and_leaves_the_partial_batch_out():
    these = batches(count=18)
    for _ in range(3):
        assert sorted(flat(numbers(these, 3))) == list(range(18))
    partial = flat(numbers(batches(count=20), 3))
    assert len(partial) == len(set(partial)) == 18
    assert batches(count=20).per_epoch == 3


def test_every_epoch_and_every_seed_has_its_own_order():
    one, two = numbers(batches(), 3), numbers(batches(seed=4), 3)
    other_epoch = batches()
    other_epoch.seek(3)
    assert len({str(order) for order in (one, two, numbers(other_epoch, 3))}) == 3


def test_what_the_user_drew_changes_no_order_and_the_order_draws_nothing_of_the_users():
    torch.manual_seed(1)
    one = numbers(batches(), 5)
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    assert numbers(batches(), 5) == one
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_a_batch_without_overlap(world):
    whole = numbers(batches(), 7)
    shares = [numbers(batches(rank=rank, world=world), 7) for rank in range(world)]
    for number, batch in enumerate(whole):
        assert flat(share[number] for share in shares) == batch


def test_a_batch_that_does_not_divide_among_the_processes_is_a_clear_error():
    with pytest.raises(BadSetting, match=r"run\.batch_size is 6, but should divide among 4 processes"):
        batches(world=4)


def test_a_batch_larger_than_the_data_is_a_clear_error():
    with pytest.raises(BadSetting, match=r"run\.batch_size is 21, but the data set has only 20 training") as error:
        batches(batch_size=21)
    assert error.value.hint == "Write `run.batch_size=20` or less."
    assert batches(batch_size=20).per_epoch == 1


def test_an_order_that_grows_shorter_is_a_clear_error():
    shrinking = iter([20, 20, 17])  # asked for its length, then for two epochs
    these = Batches(InMemory(number=torch.arange(20)), lambda generator: torch.arange(next(shrinking)), 6, seed=3)
    assert len(flat(numbers(these, 3))) == 18
    with pytest.raises(RunFailed, match="order of epoch 1 has 17 examples, but began with 20") as error:
        next(these)
    assert error.value.hint == "Trainer.order should give as many indices in every epoch."


def test_an_order_that_is_shorter_by_what_is_left_out_anyway_will_do():
    shrinking = iter([20, 20, 18])
    these = Batches(InMemory(number=torch.arange(20)), lambda generator: torch.arange(next(shrinking)), 6, seed=3)
    assert len(flat(numbers(these, 6))) == 36


def test_examples_that_are_no_mappings_are_a_clear_error():
    with pytest.raises(BadSetting, match="examples are tuple, but should be mappings such as"):
        next(batches(examples=Bare(20)))


def test_a_key_that_the_data_set_does_not_have_is_a_clear_error():
    with pytest.raises(BadSetting, match="reads 'label', but the dataset's examples have 'number'"):
        next(batches())["label"]


@pytest.mark.parametrize("examples", [InMemory(number=torch.arange(20)), OneByOne(20)])
def test_evaluation_sees_all_examples_in_their_stored_order(examples):
    seen = [batch["number"].tolist() for batch in in_order(examples, 6)]
    assert list(map(len, seen)) == [6, 6, 6, 2]
    assert flat(seen) == list(range(20))


KILLED = """
import time
import psutil, torch
import zoo_core as zoo
from zoo_core.batches import in_order

def large(index):
    return {"image": torch.zeros(1000, 1000), "name": "n" * 100_000}

batches = iter(in_order(zoo.GeneratedExamples(large, 1000), 2, workers=2))
next(batches)
print(*[child.pid for child in psutil.Process().children()], flush=True)
time.sleep(60)
"""


def test_the_workers_of_a_killed_run_end_with_it():
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as run:
        workers = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
        run.kill()
    try:
        assert len(workers) == 2
        left = psutil.wait_procs(workers, timeout=20)[1]
        assert not [worker for worker in left if worker.status() != psutil.STATUS_ZOMBIE]
    finally:
        for worker in workers:
            if worker.is_running():
                worker.kill()


@pytest.mark.parametrize(
    ("shares", "among", "hint"),
    [
        ({"world": 2}, "2 processes", 6),
        ({"parts": 3}, r"3 parts \(run.grad_accumulation_steps\)", 6),
        ({"world": 2, "parts": 2}, r"2 processes with 2 parts \(run.grad_accumulation_steps\)", 4),
    ],
)
def test_a_batch_that_does_not_divide_says_among_what_and_which_would(shares, among, hint):
    with pytest.raises(BadSetting, match=rf"run.batch_size is 7, but should divide among {among}\.") as refused:
        Batches(OneByOne(20), lambda generator: torch.arange(20), 7, seed=0, **shares)
    assert refused.value.hint == f"Write `run.batch_size={hint}`."
