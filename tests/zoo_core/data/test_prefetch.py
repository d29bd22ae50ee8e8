"""Batches that are sent to the device ahead of the step."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import Batches, in_order
from zoo_core.data.prefetch import Ahead, Transfer, pins
from zoo_core.data.resident import DeviceCopies
from zoo_core.dataset import Batch, GeneratedExamples, InMemory
from zoo_core.errors import BadFile

CPU = torch.device("cpu")  # where a transfer gives the batch itself
ACCELERATOR = torch.accelerator.current_accelerator(check_available=True) or CPU
needs_streams = pytest.mark.skipif(not pins(ACCELERATOR), reason="needs an accelerator that copies while it computes")


def batches(count):
    return (Batch(number=torch.tensor([number])) for number in range(count))


def numbers(batches):
    return [int(batch["number"]) for batch in batches]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "zoo-prefetch"]


def test_batches_come_in_order():
    ahead = Ahead(Transfer(CPU))
    assert numbers(ahead(batches(5))) == [0, 1, 2, 3, 4]
    ahead.close()
    assert not threads()


def test_two_batches_are_ready_before_they_are_needed():
    made, ahead = [], Ahead(Transfer(CPU))
    given = ahead(batch for batch in batches(9) if not made.append(int(batch["number"])))
    next(given)
    end = time.monotonic() + 5
    while len(made) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2]
    ahead.close()


def test_an_error_is_raised_after_the_batches_before_it():
    def failing():
        yield from batches(2)
        raise BadFile("/data/7.png is not an image.", "Remove it.")

    given = Ahead(Transfer(CPU))(failing())
    assert [int(next(given)["number"]) for _ in range(2)] == [0, 1]
    with pytest.raises(BadFile, match=r"7\.png"):
        next(given)


def test_closing_ends_a_thread_that_waits_for_its_batch_to_be_taken_or_for_the_next_one():
    def slow():
        yield from batches(1)
        while not ahead.closed:
            time.sleep(0.01)

    for iterator in (batches(100), slow()):
        ahead = Ahead(Transfer(CPU))
        next(ahead(iterator))
        start = time.monotonic()
        ahead.close()
        assert not threads()
        assert time.monotonic() - start < 1


def test_texts_stay_on_the_host():
    batch = Batch({"number": torch.arange(3), "name": ["a", "b", "c"]})
    transfer = Transfer(ACCELERATOR)
    given = transfer.finish(transfer.start(batch))
    assert given["name"] == ["a", "b", "c"]
    assert given["number"].tolist() == [0, 1, 2]


def squares(indices):
    torch.rand(3)
    return Batch(square=torch.tensor(indices) ** 2, large=torch.zeros(len(indices), 100_000) + indices[0])


LARGE = InMemory(image=torch.rand(40, 100_000))


@needs_streams
@pytest.mark.parametrize(("examples", "workers"), [(GeneratedExamples(squares, 40), 0), (LARGE, 0), (LARGE, 2)])
def test_batches_arrive_as_they_were_made_while_the_device_is_busy(examples, workers):
    def loader(copies=None):
        return Batches(examples, lambda generator: torch.randperm(40, generator=generator), 8, 0, copies=copies)

    copies = DeviceCopies(ACCELERATOR, room=0)
    given, expected, busy = loader(copies), loader(), torch.rand(2000, 2000, device=ACCELERATOR)
    given.workers = workers
    received = []
    for _ in range(12):
        batch = next(given)
        busy = busy @ busy / 2000
        received.append({name: value + 0 for name, value in batch.items()})
        del batch  # its memory must not be used again before the addition has run
    for one in received:
        for name, value in next(expected).items():
            assert one[name].device.type == ACCELERATOR.type
            assert torch.equal(one[name].cpu(), value)
    given.close()
    assert not threads()
    split = in_order(BatchMaker(examples), 8, workers, copies=copies)
    assert len(list(split)) == 5
