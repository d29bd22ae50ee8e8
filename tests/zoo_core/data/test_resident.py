"""Examples that are copied to the device once, and gathered there."""

import multiprocessing
from itertools import islice

import pytest
import torch
from torch.utils.data import Subset

import zoo_core as zoo
from zoo_core.data import resident
from zoo_core.data.batch_maker import BatchMaker
from zoo_core.data.loader import Batches, in_order
from zoo_core.data.resident import FRACTION, DeviceCopies, copies_for, free_memory
from zoo_core.errors import RunFailed

CPU = torch.device("cpu")  # as a device of its own: what is gathered does not depend on where
PIXELS = torch.randint(256, (90, 1, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
IMAGES = zoo.InMemory(image=zoo.Uint8Images(PIXELS), label=torch.arange(90) % 10, weight=torch.rand(90, 3))
EVERY_THIRD = Subset(IMAGES, range(0, 90, 3))
REVERSED = Subset(EVERY_THIRD, list(range(29, 4, -1)))


def batches(examples=IMAGES, copies=None, batch_size=12, order=None, **options):
    def shuffled(generator):
        return torch.randperm(len(examples), generator=generator)

    return Batches(examples, order or shuffled, batch_size, 3, copies=copies, **options)


def assert_same(given, expected):
    for one, other in zip(given, expected, strict=True):
        assert type(one) is zoo.Batch
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("examples", [IMAGES, EVERY_THIRD, REVERSED])
@pytest.mark.parametrize("options", [{}, {"rank": 1, "world": 2}, {"rank": 2, "world": 3, "parts": 2}])
def test_batches_are_those_of_the_host_in_every_epoch_and_after_a_resume(examples, options):
    given, expected = batches(examples, DeviceCopies(CPU), **options), batches(examples, **options)
    assert_same(islice(given, 17), islice(expected, 17))
    for position in (4, 23, 0):
        given.seek(position)
        expected.seek(position)
        assert_same(islice(given, 3), islice(expected, 3))


def test_no_worker_is_started():
    before = multiprocessing.active_children()
    assert next(batches(copies=DeviceCopies(CPU), workers=2))["image"].shape == (12, 1, 20, 20)
    assert set(multiprocessing.active_children()) <= set(before)


@pytest.mark.parametrize("examples", [IMAGES, REVERSED])
@pytest.mark.parametrize("options", [{}, {"rank": 1, "world": 2}])
def test_splits_are_those_of_the_host(examples, options):
    given = in_order(BatchMaker(examples), 7, copies=DeviceCopies(CPU), **options)
    assert_same(given, list(in_order(BatchMaker(examples), 7, **options)))


def test_a_batch_can_be_modified_without_changing_the_examples():
    copies = DeviceCopies(CPU)
    for _ in range(2):
        first = next(in_order(BatchMaker(IMAGES), 4, copies=copies))
        assert torch.equal(first["weight"], IMAGES.tensors["weight"][:4])
        first["weight"].zero_()


def test_a_tensor_of_several_splits_is_copied_once():
    copies = DeviceCopies(CPU)
    before = copies.left
    one, other = copies.find(IMAGES), copies.find(zoo.InMemory(image=zoo.Uint8Images(PIXELS), number=torch.arange(90)))
    assert one.examples._tensors["image"].pixels is other.examples._tensors["image"].pixels
    assert copies.find(REVERSED).examples._tensors["label"] is one.examples._tensors["label"]
    assert before - copies.left == PIXELS.numel() + 8 * 90 + 4 * 3 * 90 + 8 * 90


def test_examples_that_changed_are_copied_again():
    copies, weight = DeviceCopies(CPU), torch.zeros(8, 2)
    given = batches(zoo.InMemory(weight=weight), copies, batch_size=4)
    assert next(given)["weight"].sum() == 0
    weight += 1
    given.seek(2)
    assert next(given)["weight"].sum() == 8


def test_examples_larger_than_the_fraction_of_free_memory_stay_on_the_host():
    copies = DeviceCopies(CPU)
    assert 0 < copies.left <= FRACTION * free_memory(CPU) * 1.5
    copies.left = PIXELS.numel()  # too few for the labels
    assert copies.find(IMAGES) is None
    assert copies.left == PIXELS.numel()
    assert_same(islice(batches(copies=copies), 8), islice(batches(), 8))
    pixels_only = zoo.InMemory(image=zoo.Uint8Images(PIXELS))
    assert copies.find(pixels_only) is not None
    assert copies.left == 0


def test_the_fraction_is_that_of_the_memory_which_is_free_when_they_are_copied(monkeypatch):
    copies = DeviceCopies(CPU)
    monkeypatch.setattr(resident, "free_memory", lambda device: 4 * PIXELS.numel())
    assert copies.find(IMAGES) is None


class Augmented(zoo.InMemory):
    def __getitems__(self, indices):
        return zoo.Batch({name: -tensor for name, tensor in super().__getitems__(indices).items()})


@pytest.mark.parametrize(
    "examples",
    [
        Augmented(number=torch.arange(30)),
        Subset(Augmented(number=torch.arange(30)), range(20)),
        zoo.GeneratedExamples(lambda indices: zoo.Batch(number=torch.tensor(indices)), 30),
        zoo.InMemory(number=torch.rand(30, requires_grad=True)),
        zoo.InMemory(number=torch.rand(30, 2).to_sparse()),
        Subset(IMAGES, [0, -1]),
        Subset(IMAGES, []),
        [{"number": 1}],
    ],
)
def test_only_plain_examples_in_memory_live_on_the_device(examples):
    assert DeviceCopies(CPU).find(examples) is None


def test_on_the_cpu_nothing_is_copied():
    assert copies_for(CPU) is None


@pytest.mark.parametrize("wrong", [90, -1])
def test_an_index_that_does_not_exist_is_reported_at_its_batch_as_on_the_host(wrong):
    order = torch.arange(90)
    order[30] = wrong
    errors = []
    for copies in (None, DeviceCopies(CPU)):
        given = batches(copies=copies, order=lambda generator: order)
        assert len(list(islice(given, 2))) == 2
        with pytest.raises(RunFailed) as error:
            next(given)
        errors.append(str(error.value))
    assert errors[0] == errors[1]
    assert f"training example {wrong}" in errors[0]
