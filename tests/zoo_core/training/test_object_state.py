"""Objects of a plugin are put back as they were."""

from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from zoo_core.training.object_state import objects_kept


class Slotted:
    __slots__ = ("later", "value")

    def __init__(self):
        self.value = [1]


@dataclass(frozen=True)
class Frozen:
    table: dict = field(default_factory=lambda: {"a": [1, 2]})


class Holder:
    def __init__(self):
        self.plain, self.list, self.set, self.deque = 1, [1, [2]], {1}, deque([1, 2], maxlen=2)
        self.mapping, self.counts = OrderedDict(a={"b": [1]}), defaultdict(int, x=1)
        self.tensor, self.generator = torch.ones(2), torch.Generator()
        self.slotted, self.frozen, self.dropout = Slotted(), Frozen(), nn.Dropout(0.5)
        self.network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def disturb(one, error):
    one.plain, one.added = 2, "new"
    one.list[1].append(3)
    one.list.insert(0, 0)
    one.set.add(2)
    one.deque.append(3)
    one.mapping["a"]["b"].clear()
    one.mapping["c"] = 1
    one.counts["y"] += 1
    one.tensor += 1
    torch.rand(3, generator=one.generator)
    one.slotted.value.append(2)
    one.slotted.later = 1
    one.frozen.table["a"] = None
    one.dropout.p = 0.0
    one.network[1].momentum = 0.9
    if error:
        raise error


def test_all_that_a_plugin_keeps_in_them_is_put_back_even_after_an_error():
    one = Holder()
    inner, state = one.list[1], one.generator.get_state()
    with pytest.raises(KeyError), objects_kept([one]):
        disturb(one, KeyError)
    assert (one.plain, one.list, one.set, one.deque) == (1, [1, [2]], {1}, deque([1, 2]))
    assert one.list[1] is inner
    assert (one.mapping, dict(one.counts)) == (OrderedDict(a={"b": [1]}), {"x": 1})
    assert one.tensor.tolist() == [1, 1]
    assert one.generator.get_state().equal(state)
    assert (one.slotted.value, one.frozen.table) == ([1], {"a": [1, 2]})
    assert not hasattr(one, "added")
    assert not hasattr(one.slotted, "later")
    assert (one.dropout.p, one.network[1].momentum) == (0.5, 0.1)


def test_objects_that_refer_to_one_another_are_put_back_once():
    one, other = Holder(), Holder()
    one.other, other.other, one.list = other, one, other.list
    with objects_kept([one, other]):
        one.list.append(5)
        one.other = None
    assert other.list == one.list == [1, [2]]
    assert one.other is other


def test_a_tensor_of_an_inference_is_left_alone():
    one = Holder()
    with torch.inference_mode():
        one.tensor = torch.ones(2)
    with objects_kept([one]):
        one.tensor = None
    assert one.tensor.tolist() == [1, 1]
