"""A change of the state of a model and its trainer is found without a copy of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo_core.checkpoint.digest import StateDigest, _sums_together
from zoo_core.checkpoint.state import TrainerState


class Holder:
    def __init__(self, **values):
        self.__dict__.update(values)


def digest(module=None, **attributes):
    return StateDigest(TrainerState(module or nn.Linear(3, 2), Holder(**attributes)))


def test_without_a_change_there_is_none():
    module = nn.Linear(3, 2)
    found = digest(module, table=torch.tensor([torch.nan, 1]), flags=torch.ones(3, dtype=torch.bool), nothing=[], at=0)
    module.weight.data = module.weight.data.clone()
    assert found.change() == ""


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(4),
        torch.zeros(2, 3).T,
        torch.zeros(2, 3, dtype=torch.bfloat16),
        torch.zeros(3, dtype=torch.float64),
        torch.zeros(5, dtype=torch.int64),
        torch.zeros(2, 2, dtype=torch.bool),
        torch.zeros((), dtype=torch.uint8),
        torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last),
    ],
)
def test_one_element_of_a_tensor_of_any_type_and_layout(tensor):
    found = digest(table=tensor)
    tensor[(0,) * tensor.ndim] = 1
    assert found.change() == "self.table"
    tensor[(0,) * tensor.ndim] = 0
    assert found.change() == ""


def test_a_conjugate_and_its_parts():
    conjugate = torch.tensor([1 + 2j, 3 - 1j]).conj()
    found = digest(table=conjugate, parts=conjugate.imag)
    assert found.change() == ""
    conjugate[1] = 3
    assert found.change() == "self.table"


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_all_elements_of_a_tensor(value):
    tensor = torch.full((4, 4), value)
    found = digest(table=tensor)
    tensor.copy_(1 - tensor)
    assert found.change() == "self.table"


@pytest.mark.parametrize("count", [2**20 - 1, 2**20, 3 * 2**20 + 5])
def test_elements_that_change_places_in_a_long_tensor(count):
    tensor = torch.zeros(count)
    tensor[0], tensor[-1] = 1, 2
    found = digest(table=tensor)
    tensor[0], tensor[-1] = 2, 1
    assert found.change() == "self.table"
    tensor[0], tensor[-1] = 1, 2
    assert found.change() == ""


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (1, 2, "self.value from 1 to 2"),
        (1, 1.0, "self.value from 1 to 1.0"),
        (1, True, "self.value from 1 to true"),
        ("a\nb", "a", r"self.value from 'a\nb' to 'a'"),
        ([1, [2, 3]], [1, [2, 4]], "self.value (1.1) from 3 to 4"),
        ((), None, "self.value from 0 values to null"),
        ({"a": torch.ones(2)}, {"a": torch.zeros(2)}, "self.value (a)"),
        (torch.ones(2), torch.ones(3), "self.value from a float32 tensor (2,) to a float32 tensor (3,)"),
        (
            torch.ones(2, 3),
            torch.ones(3, 2).T,
            "self.value from a float32 tensor (2, 3) to a float32 tensor (2, 3) of strides (1, 2)",
        ),
        (torch.ones(2), torch.ones(2).double(), "self.value from a float32 tensor (2,) to a float64 tensor (2,)"),
    ],
)
def test_plain_values_are_shown_before_and_after(before, after, change):
    holder = Holder(value=before)
    found = StateDigest(TrainerState(nn.Linear(3, 2), holder))
    holder.value = after
    assert found.change() == change


def test_tensors_that_are_put_together_have_a_checksum_each(monkeypatch):
    monkeypatch.setattr("zoo_core.checkpoint.digest._BLOCK", 8)
    tensors = [torch.arange(size, dtype=torch.int32) for size in (3, 0, 4, 9, 2, 8, 1)]  # some are too long
    before = _sums_together(tensors)
    assert len(before) == len(tensors)
    for number, tensor in enumerate(tensors):
        for element in range(len(tensor)):
            tensor[element] += 5
            assert (_sums_together(tensors) != before).nonzero().flatten().tolist() == [number]
            tensor[element] -= 5
    tensors[3][[0, 8]] = tensors[3][[8, 0]]
    assert (_sums_together(tensors) != before).nonzero().flatten().tolist() == [3]
