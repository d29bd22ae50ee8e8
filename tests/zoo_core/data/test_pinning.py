"""Batches that a thread takes ahead of the training."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from zoo_core.data.pinning import Ahead
from zoo_core.dataset import Batch
from zoo_core.errors import BadFile


def batches(count):
    return (Batch(number=torch.tensor([number])) for number in range(count))


def doubled(batch):
    return Batch(number=2 * batch["number"])


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "zoo-pin"]


def test_batches_come_converted_and_in_order():
    ahead = Ahead(doubled)
    assert [int(batch["number"]) for batch in ahead(batches(5))] == [0, 2, 4, 6, 8]
    ahead.close()
    assert not threads()


def test_an_error_is_raised_after_the_batches_before_it():
    def failing():
        yield from batches(2)
        raise BadFile("/data/7.png is not an image.", "Remove it.")

    given = Ahead(doubled)(failing())
    assert [int(next(given)["number"]) for _ in range(2)] == [0, 2]
    with pytest.raises(BadFile, match=r"7\.png"):
        next(given)


def test_closing_ends_a_thread_that_waits_for_its_batch_to_be_taken_or_for_the_next_one():
    def slow():
        yield from batches(1)
        while not ahead.closed:
            time.sleep(0.01)

    for iterator in (batches(100), slow()):
        ahead = Ahead(doubled)
        next(ahead(iterator))
        start = time.monotonic()
        ahead.close()
        assert not threads()
        assert time.monotonic() - start < 1
