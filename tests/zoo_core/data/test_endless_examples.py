"""Endless datasets: example k is the same in every process, each is used once, and Trainer.order is not called."""

import multiprocessing
from itertools import chain, islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.data.loader import Batches
from zoo_core.dataset import Batch, GeneratedExamples


def generate(indices):
    """Random examples, each seeded by its index."""
    seeds = [torch.Generator().manual_seed(index) for index in indices]
    return Batch(
        number=torch.tensor(indices), noise=torch.stack([torch.randn(3, generator=generator) for generator in seeds])
    )


def never_called(generator):
    raise AssertionError("endless examples come in the order of their indices")


def endless(length=20, batch_size=6, **options):
    """Three batches of six per epoch."""
    return Batches(GeneratedExamples(generate, length, endless=True), never_called, batch_size, seed=3, **options)


def numbers(batches, count):
    return list(chain.from_iterable(batch["number"].tolist() for batch in islice(batches, count)))


def noise(batches, count):
    return torch.cat([batch["noise"] for batch in islice(batches, count)])


@pytest.mark.parametrize("length", [18, 20, 6])
def test_indices_continue_across_epochs_and_each_comes_once(length):
    assert numbers(endless(length), 10) == list(range(60))


def test_an_epoch_has_the_full_batches_of_the_length():
    assert endless(20).per_epoch == 3
    assert endless(6).per_epoch == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_example_k_is_the_same_for_any_number_of_workers(workers):
    assert torch.equal(noise(endless(workers=workers), 7), noise(endless(), 7))


@pytest.mark.parametrize("world", [2, 3, 6])
def test_processes_split_the_batches_of_one_process(world):
    parts = [noise(endless(rank=rank, world=world), 7).view(7, -1, 3) for rank in range(world)]
    assert torch.equal(torch.cat(parts, dim=1).view(-1, 3), noise(endless(), 7))


@given(start=st.integers(0, 40), count=st.integers(1, 5))
def test_seeking_gives_the_same_examples_as_stepping(start, count):
    batches = endless()
    batches.seek(start)
    assert numbers(batches, count) == list(range(6 * start, 6 * (start + count)))


def test_seeking_with_workers_in_the_middle_of_an_epoch():
    batches = endless(workers=2)
    batches.seek(4)
    assert numbers(batches, 3) == list(range(24, 42))


def test_indices_do_not_depend_on_the_seed():
    other = Batches(GeneratedExamples(generate, 20, endless=True), never_called, 6, seed=4)
    assert torch.equal(noise(other, 4), noise(endless(), 4))


def test_generated_examples_that_are_not_endless_come_in_the_trainers_order():
    batches = Batches(
        GeneratedExamples(generate, 18), lambda generator: torch.randperm(18, generator=generator), 6, seed=3
    )
    first, second = numbers(batches, 3), numbers(batches, 3)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(18))


def test_the_same_workers_make_every_epoch():
    before = {child.pid for child in multiprocessing.active_children()}
    batches, workers = endless(workers=2), []
    for _ in range(3):
        numbers(batches, 3)
        workers.append({child.pid for child in multiprocessing.active_children()} - before)
    assert len(workers[0]) == 2
    assert workers == workers[:1] * 3
    batches.close()
