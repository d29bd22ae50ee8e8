"""Batches of the splits of a run's dataset."""

import multiprocessing

import torch

import zoo_core as zoo
from zoo_core.data.resident import DeviceCopies
from zoo_core.training.splits import OnDevice, Splits


def examples(count, first=0):
    return zoo.InMemory(number=torch.arange(first, first + count))


def splits(**changes):
    return Splits(
        **{"train": examples(8), "validation": examples(5, 100), "test": examples(7, 200), "batch_size": 4} | changes
    )


def numbers(batches):
    return [batch["number"].tolist() for batch in batches]


def test_every_split_is_given_in_stored_order():
    assert numbers(splits().train_batches()) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert numbers(splits().validation_batches()) == [[100, 101, 102, 103], [104]]
    assert numbers(splits().test_batches()) == [[200, 201, 202, 203], [204, 205, 206]]


def test_the_first_preview_batch_has_the_whole_batch_size_in_every_process():
    assert numbers(splits(rank=1, world=2).preview_batches())[0] == [100, 101, 102, 103]


def test_in_a_distributed_evaluation_each_process_has_other_examples():
    seen = [numbers(splits(rank=rank, world=2, distributed=True).test_batches()) for rank in range(2)]
    assert seen == [[[200, 202], [204, 206]], [[201, 203], [205]]]


def test_otherwise_each_process_has_all_examples():
    seen = [numbers(splits(rank=rank, world=2).test_batches()) for rank in range(2)]
    assert seen[0] == seen[1] == [[200, 201], [202, 203], [204, 205], [206]]


def test_batches_on_the_device_can_be_iterated_again():
    batches = OnDevice(splits().test_batches, lambda batch: zoo.Batch(number=batch["number"] + 1))
    assert numbers(batches) == numbers(batches) == [[201, 202, 203, 204], [205, 206, 207]]


def test_a_preview_starts_no_workers():
    before = multiprocessing.active_children()
    assert numbers([next(iter(splits(workers=2).preview_batches()))]) == [[100, 101, 102, 103]]
    assert set(multiprocessing.active_children()) <= set(before)


def test_splits_on_a_device_are_the_same_and_share_their_tensors():
    copies, shared = DeviceCopies(torch.device("cpu")), examples(7, 200)
    given = splits(validation=shared, test=shared, copies=copies, workers=2)
    before = copies.left
    for _ in range(2):
        assert numbers(given.test_batches()) == numbers(splits().test_batches())
        assert numbers(given.validation_batches()) == numbers(splits().test_batches())
    assert before - copies.left == 7 * 8
