"""A data set that returns the tensors of its splits: what is checked, and what identifies it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import zoo_core as zoo


def dataset(splits: Any) -> zoo.InMemoryDataset:
    class Table(zoo.InMemoryDataset):
        def tensors(self) -> Any:
            return splits

    return Table(Table.Config())


def rows(count: int, **changes: Any) -> dict[str, Any]:
    return {"x": torch.arange(2.0 * count).reshape(count, 2), "y": torch.arange(count), **changes}


def test_the_splits_are_examples_in_memory() -> None:
    table = dataset({"train": rows(5), "validation": rows(2), "test": rows(3)})
    assert [len(split) for split in (table.train(), table.validation(), table.test())] == [5, 2, 3]
    assert table.train()[4]["x"].tolist() == [8, 9]
    assert table.train() is table.train()


def test_without_a_validation_split_it_is_the_test_split_and_without_that_there_are_no_test_examples() -> None:
    table = dataset({"train": rows(5), "test": rows(3)})
    assert table.validation() is table.test()
    images = zoo.Uint8Images(torch.zeros(5, 1, 2, 2, dtype=torch.uint8))
    assert len(dataset({"train": rows(5, image=images)}).test()) == 0


def test_arrays_become_tensors_of_their_type() -> None:
    split = {"x": np.ones((4, 2), dtype=np.float32), "y": np.arange(4)}
    tensors = dataset({"train": split}).train().tensors
    assert (tensors["x"].dtype, tensors["y"].dtype) == (torch.float32, torch.int64)


def test_the_fingerprint_changes_with_every_byte_and_not_with_who_asks() -> None:
    def fingerprint(**changes: Any) -> str:
        return dataset({"train": rows(5), "test": rows(3, **changes)}).fingerprint()

    changed = rows(3)["x"]
    changed[2, 1] += 1e-6
    assert fingerprint() == fingerprint()
    assert fingerprint(x=changed) != fingerprint()
    moved = dataset({"train": rows(3), "test": rows(5)}).fingerprint()
    assert moved != fingerprint()


@pytest.mark.parametrize(
    ("splits", "message", "hint"),
    [
        (None, "tensors of Table returns no mapping from splits", 'Return for example {"train"'),
        ({"train": torch.ones(3)}, "tensors of Table returns no mapping from splits", 'Return for example {"train"'),
        ({"test": rows(3)}, "tensors of Table: the split 'train' is missing.", 'Return for example {"train"'),
        ({"train": rows(3), "validatoin": rows(2)}, "there is no split 'validatoin'.", "Did you mean 'validation'?"),
        ({"train": rows(3), "dev": rows(2)}, "there is no split 'dev'.", "The splits are train, validation and test."),
        (
            {"train": rows(3, y=torch.arange(4))},
            "split 'train': the tensors should have the same number of examples, but x has 3, y has 4.",
            "Give each tensor one row for each example.",
        ),
        ({"train": {}}, "the same number of examples, but it has no tensors.", "Give each tensor one row"),
        ({"train": rows(3, y=torch.eye(3).to_sparse())}, "split 'train': 'y' is a sparse tensor", "Write y.to_dense()"),
        ({"train": rows(3, y=[1, 2, 3])}, "split 'train': 'y' is a list, but should be a tensor", "torch.tensor(y)"),
        ({"train": rows(3, y=torch.tensor(3))}, "split 'train': 'y' is a single number", "first dimension"),
        (
            {"train": rows(3), "test": {"x": rows(2)["x"]}},
            "split 'test' has x, but the split 'train' has x, y.",
            "the same tensors",
        ),
        (
            {"train": rows(3), "test": rows(2, x=torch.zeros(2, 3))},
            "split 'test': 'x' is float32 (N, 3), but in the split 'train' it is float32 (N, 2).",
            "the same type and shape",
        ),
        (
            {"train": rows(3), "test": rows(2, y=torch.zeros(2))},
            "split 'test': 'y' is float32 (N), but in the split 'train' it is int64 (N).",
            "the same type and shape",
        ),
    ],
)
@pytest.mark.parametrize("method", ["train", "fingerprint"])
def test_splits_that_do_not_fit_are_refused(splits: Any, message: str, hint: str, method: str) -> None:
    with pytest.raises(zoo.BadSetting) as raised:
        getattr(dataset(splits), method)()
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")
