"""Training continues after an evaluation or a preview as if there had been none."""

from __future__ import annotations

import random
from collections import deque
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from zoo_core.errors import RunFailed
from zoo_core.registry.resolve import resolve
from zoo_core.training.reachable import find_modules
from zoo_core.training.runner import run_recipe
from zoo_core.training.undisturbed import undisturbed


class Holder:
    def __init__(self, **values):
        self.__dict__.update(values)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def fail_while_measuring(module):
    with undisturbed([module]):
        module.eval()
        torch.set_grad_enabled(False)
        raise ZeroDivisionError


def test_the_mode_of_every_module_is_restored_and_not_only_that_of_the_network():
    frozen, average, in_object = network(), network().eval(), network()
    frozen[1].eval()
    with undisturbed([frozen, [average], Holder(inner={"a": in_object})]):
        frozen.train()
        average.train()
        in_object.eval()
    assert [module.training for module in frozen] == [True, False, True]
    assert not any(module.training for module in average.modules())
    assert all(module.training for module in in_object.modules())


def test_buffers_that_a_forward_pass_changes_are_restored():
    module = network()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    buffer = module[1].running_mean
    with undisturbed([module]):
        module(torch.randn(8, 3))
        module[1].running_mean = torch.ones(4)
    assert module[1].running_mean is buffer
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())


class Counts(nn.Module):
    """Counts its forward passes, and scales its output by a statistic of them; neither is in a checkpoint."""

    def __init__(self):
        super().__init__()
        self.calls, self.last = 0, None
        self.register_buffer("scale", torch.ones(2), persistent=False)
        self.register_buffer("mask", None, persistent=False)

    def forward(self, data):
        self.calls += 1
        self.last = f"call {self.calls}"
        self.scale.mul_(0.5)
        return data * self.scale


def test_buffers_that_are_no_state_and_plain_attributes_of_a_module_are_restored():
    module = Counts()
    module(torch.ones(2))
    with undisturbed([module]):
        module(torch.ones(2))
        module.scale = torch.zeros(2)
    assert (module.calls, module.last, module.scale.tolist()) == (1, "call 1", [0.5, 0.5])


def test_a_cache_that_grows_is_kept_together_with_its_length():
    module = nn.Sequential(Counts())
    module[0].register_buffer("table", torch.zeros(2), persistent=False)
    module[0].length = 2
    with undisturbed([module]):
        module[0].table, module[0].length = torch.ones(4), 4
    assert (module[0].table.tolist(), module[0].length) == ([1] * 4, 4)


def test_generators_of_their_own_are_restored():
    generators = torch.Generator(), np.random.default_rng(0), np.random.RandomState(0), random.Random(0)  # noqa: S311

    def draws():
        of_torch, of_numpy, legacy, of_python = generators
        return torch.rand(2, generator=of_torch).tolist(), of_numpy.random(), legacy.rand(), of_python.random()

    with undisturbed([Holder(module=Holder(kept=generators))]):
        inside = draws()
    assert draws() == inside


def test_gradients_are_as_before_and_nothing_is_added_to_them():
    module = network()
    module(torch.randn(8, 3)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    values = {name: gradient.clone() for name, gradient in gradients.items()}
    with undisturbed([module]):
        module(torch.randn(8, 3)).sum().backward()
        module[0].bias.requires_grad_(False)
    assert module[0].bias.requires_grad
    for name, parameter in module.named_parameters():
        assert parameter.grad is gradients[name]
        assert torch.equal(parameter.grad, values[name])


def leave_gradients_of_half_precision(module):
    for parameter in module.parameters():
        parameter.grad_dtype = torch.float16
        parameter.grad = torch.ones_like(parameter, dtype=torch.float16)


@pytest.mark.parametrize("had", [False, True])
def test_gradients_that_measuring_leaves_in_half_precision_are_put_back(had):
    module = network()
    if had:
        module(torch.randn(8, 3)).sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    with undisturbed([module]):
        leave_gradients_of_half_precision(module)
    assert all(parameter.grad is gradient for parameter, gradient in zip(module.parameters(), gradients, strict=True))
    module.zero_grad()
    module(torch.randn(8, 3)).sum().backward()
    assert {parameter.grad.dtype for parameter in module.parameters()} == {torch.float32}


def test_an_error_of_measuring_in_half_precision_is_the_one_that_is_raised():
    module = network()
    module(torch.randn(8, 3)).sum().backward()

    def measure():
        with undisturbed([module]):
            module.half()
            raise KeyError("accuracy")

    with pytest.raises(KeyError, match="accuracy"):
        measure()


class EvaluatesInHalfPrecision(tiny.LineTrainer):
    """Leaves the model in half precision, or its gradients only."""

    whole = False

    def evaluate(self, batches, train_batches):
        self.model.half() if self.whole else leave_gradients_of_half_precision(self.model)
        return {"error": 0.0}


@pytest.mark.parametrize("whole", [False, True])
def test_an_evaluation_in_half_precision_changes_nothing_or_is_named(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(EvaluatesInHalfPrecision, "whole", whole)
    here = tiny.catalog_with(EvaluatesInHalfPrecision)
    resolved = resolve(here.recipe("other", "run.evaluate_every=3", "run.steps=6"), here)
    message = r"^evaluate of the trainer 'other' changes .*weight\)? from a float32 tensor .* to a float16 tensor"
    with pytest.raises(RunFailed, match=message) if whole else nullcontext():
        run_recipe(resolved, folder=tmp_path / "run")


def test_random_states_are_restored():
    def draws():
        return torch.rand(2).tolist(), np.random.rand(2).tolist(), [random.random() for _ in range(2)]  # noqa: S311

    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    expected = draws()
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    with undisturbed([]):
        draws()
        torch.manual_seed(7)
    assert draws() == expected


def test_settings_of_torch_are_restored():
    with undisturbed([]):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("medium")
        torch.set_default_device("meta")
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.zeros(1).device.type == "cpu"


def test_all_is_restored_after_an_error():
    module = network()

    with pytest.raises(ZeroDivisionError):
        fail_while_measuring(module)
    assert module.training
    assert torch.is_grad_enabled()


class Slots:
    __slots__ = ("module",)

    def __init__(self, module):
        self.module = module


@pytest.mark.parametrize(
    "hold",
    [
        lambda module: lambda data: module(data),
        lambda module: partial(module),
        lambda module: deque([module]),
        lambda module: module.forward,
        lambda module: {module},
        Slots,
    ],
)
def test_modules_are_found_wherever_a_trainer_holds_them(hold):
    module = network()
    with undisturbed([hold(module)]):
        module.eval()
    assert module.training


def test_modules_that_refer_to_each_other_are_found_once():
    module = network()
    holder = Holder(module=module)
    holder.itself = holder
    assert len(list(find_modules([module, holder, [module]]))) == 4


@pytest.mark.parametrize("trainer", ["leaveseval", "measuresintraining", "trainsafterwards", "disablesgradients"])
def test_a_trainer_that_measures_carelessly_trains_as_if_it_had_not(tmp_path, trainer):
    import broken_promises

    ends = []
    for every in (0, 1):
        here = tiny.catalog()
        here.plugins.add("broken", broken_promises.Plugin())
        recipe = here.recipe(f"with-{trainer}", "run.device=cpu", f"run.evaluate_every={every}", "run.steps=6")
        run = run_recipe(resolve(recipe, here), folder=tmp_path / str(every))
        ends.append(run.model.state_dict())
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
