"""Endless examples go by number: example k is the same in every process, each comes once, and no order is asked."""

from itertools import chain, islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.data.loader import Batches
from zoo_core.dataset import Batch, GeneratedExamples


def drawn(indices):
    """Examples whose numbers seed what is drawn for them."""
    seeds = [torch.Generator().manual_seed(index) for index in indices]
    return Batch(
        number=torch.tensor(indices), noise=torch.stack([torch.randn(3, generator=generator) for generator in seeds])
    )


def unasked(generator):
    raise AssertionError("the order of endless examples is that of their numbers")


def endless(length=20, batch_size=6, **options):
    """Three batches of six in what is called an epoch."""
    return Batches(GeneratedExamples(drawn, length, endless=True), unasked, batch_size, seed=3, **options)


def numbers(these, count):
    return list(chain.from_iterable(batch["number"].tolist() for batch in islice(these, count)))


def noise(these, count):
    return torch.cat([batch["noise"] for batch in islice(these, count)])


@pytest.mark.parametrize("length", [18, 20, 6])
def test_numbers_go_on_over_the_epochs_and_each_comes_once(length):
    assert numbers(endless(length), 10) == list(range(60))


def test_what_is_called_an_epoch_has_the_whole_batches_of_the_length():
    assert endless(20).per_epoch == 3
    assert endless(6).per_epoch == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_example_k_is_the_same_for_any_number_of_workers(workers):
    assert torch.equal(noise(endless(workers=workers), 7), noise(endless(), 7))


@pytest.mark.parametrize("world", [2, 3, 6])
def test_processes_share_the_examples_of_one(world):
    shares = [noise(endless(rank=rank, world=world), 7).view(7, -1, 3) for rank in range(world)]
    assert torch.equal(torch.cat(shares, dim=1).view(-1, 3), noise(endless(), 7))


@given(start=st.integers(0, 40), count=st.integers(1, 5))
def test_seeking_gives_the_examples_that_stepping_would(start, count):
    these = endless()
    these.seek(start)
    assert numbers(these, count) == list(range(6 * start, 6 * (start + count)))


def test_seeking_with_workers_in_the_middle_of_an_epoch():
    these = endless(workers=2)
    these.seek(4)
    assert numbers(these, 3) == list(range(24, 42))


def test_every_seed_trains_on_the_same_numbers():
    other = Batches(GeneratedExamples(drawn, 20, endless=True), unasked, 6, seed=4)
    assert torch.equal(noise(other, 4), noise(endless(), 4))


def test_examples_that_are_made_anew_but_are_not_endless_come_in_the_trainers_order():
    these = Batches(GeneratedExamples(drawn, 18), lambda generator: torch.randperm(18, generator=generator), 6, seed=3)
    first, second = numbers(these, 3), numbers(these, 3)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(18))
