"""The attributes of a module are put back as they were."""

from __future__ import annotations

import logging
from collections import deque

import numpy as np
import pytest
import torch
from torch import nn

from zoo_core.training.undisturbed import undisturbed


class Rich(nn.Module):
    """A module with an attribute of every kind."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Dropout(0.0))
        self.frequencies, self.window = torch.ones(2), np.ones(2, dtype=np.float32)
        self.seen, self.recent, self.table, self.names = [1.0], deque([1.0]), {"a": 1.0}, {"a"}
        self.scale = 1.0

    def forward(self, data):
        factor = self.scale * len(self.seen) * len(self.recent) * len(self.names) * sum(self.table.values())
        return self.layers(data) * self.frequencies * torch.from_numpy(self.window) * factor


CHANGES = {
    "tensor": lambda module: module.frequencies.mul_(2),
    "other tensor": lambda module: setattr(module, "frequencies", torch.zeros(2)),
    "array": lambda module: module.window.fill(2),
    "list": lambda module: module.seen.append(2.0),
    "deque": lambda module: module.recent.append(2.0),
    "mapping": lambda module: module.table.update(a=2.0),
    "emptied": lambda module: module.table.clear(),
    "set": lambda module: module.names.add("b"),
    "number": lambda module: setattr(module, "scale", 2.0),
    "gone": lambda module: delattr(module, "scale"),
    "method": lambda module: setattr(module, "forward", lambda data: data),
    "dropout": lambda module: setattr(module.layers[3], "p", 1.0),
    "momentum": lambda module: setattr(module.layers[1], "momentum", 0.9),
    "hook": lambda module: module.layers[0].register_forward_hook(lambda module, given, found: found * 2),
    "earlier hook": lambda module: module.layers[0].register_forward_pre_hook(lambda module, given: (given[0] * 2,)),
    "layer": lambda module: module.layers.__setitem__(2, nn.Sigmoid()),
    "layer more": lambda module: module.layers.append(nn.Sigmoid()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_module_computes_the_same_after_a_change_while_it_was_measured(change):
    torch.manual_seed(0)
    module, data = Rich(), torch.randn(8, 2)
    expected = module(data)
    module.layers[1].reset_running_stats()
    with undisturbed([module]):
        change(module)
    assert torch.equal(module(data), expected)
    statistics = module.layers[1].running_mean
    assert torch.allclose(statistics, 0.1 * module.layers[0](data).mean(0), atol=1e-6)


def test_attributes_are_the_same_objects():
    module = Rich()
    before = dict(vars(module))
    with undisturbed([module]):
        module.seen, module.frequencies = [], torch.zeros(2)
        module.last = torch.zeros(2)
    assert vars(module).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(module).items())


def test_results_that_gradients_refer_to_are_not_copied():
    module = Rich()
    module.output = module(torch.randn(8, 2))
    output = module.output
    with undisturbed([module]):
        module.output = None
    assert module.output is output
    output.sum().backward()
    assert module.layers[0].weight.grad is not None


class Schedule:
    """A plain object that a module asks in each forward pass."""

    def __init__(self):
        self.calls, self.history, self.scale = 0, {"seen": [1.0]}, torch.ones(2)

    def factor(self):
        self.calls += 1
        self.history["seen"].append(float(self.calls))
        self.scale.mul_(2)
        return self.scale * sum(self.history["seen"])


class Asks(nn.Module):
    def __init__(self, schedule):
        super().__init__()
        self.schedules, self.table = [schedule], {"deep": {"list": [1.0]}}

    def forward(self, data):
        self.table["deep"]["list"].append(1.0)
        return data * self.schedules[0].factor() * len(self.table["deep"]["list"])


def test_objects_of_the_author_inside_a_module_are_put_back():
    module, data = Asks(Schedule()), torch.ones(2)
    with undisturbed([module]):
        expected = module(data)
        module(data)
        module.schedules[0].more = 1
    assert torch.equal(module(data), expected)
    assert not hasattr(module.schedules[0], "more")


def test_what_the_trainer_holds_itself_is_left_to_it():
    schedule = Schedule()
    module = Asks(schedule)
    with undisturbed([module, schedule]):
        module(torch.ones(2))
    assert schedule.calls == 1


def test_objects_of_other_packages_inside_a_module_are_left_alone():
    module = Asks(Schedule())
    module.log = logging.getLogger("zoo.test_kept_attributes")
    with undisturbed([module]):
        module.log.setLevel(logging.ERROR)
    assert module.log.level == logging.ERROR


def test_tensors_of_parameters_inside_a_list_of_a_module_are_not_copied_back():
    module = nn.Linear(2, 2)
    module.of_weight_decay = [module.weight]
    with undisturbed([module]), torch.no_grad():
        module.weight.zero_()
    assert not module.weight.any()
