"""Settings and hooks that an evaluation or a preview changes are put back."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from zoo_core.registry.process_state import flushes_denormals
from zoo_core.training.undisturbed import undisturbed

GENERATORS = {"noise": torch.Generator()}


class Holder:
    """What a trainer of a plugin may be; its class and its file have generators that all its objects share."""

    generator = random.Random(1)  # noqa: S311

    def __init__(self, **values):
        self.__dict__.update(values)


def enter_autocast():
    torch.autocast("cpu", torch.bfloat16).__enter__()


def set_flags():
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.cudnn.allow_tf32 = not torch.backends.cudnn.allow_tf32
    torch.backends.mkldnn.enabled = not torch.backends.mkldnn.enabled


def settings():
    depth = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    return (
        (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled(), depth),
        (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.mkldnn.enabled),
        (torch.is_anomaly_enabled(), flushes_denormals(), torch.utils.deterministic.fill_uninitialized_memory),
        np.geterr(),
        list(warnings.filters),
    )


@pytest.mark.parametrize(
    "change",
    [
        enter_autocast,
        partial(torch.set_autocast_enabled, "cpu", True),
        partial(torch.set_autocast_dtype, "cpu", torch.float16),
        partial(torch.set_autocast_cache_enabled, False),
        set_flags,
        partial(torch.autograd.set_detect_anomaly, True),
        partial(torch.set_flush_denormal, True),
        partial(setattr, torch.utils.deterministic, "fill_uninitialized_memory", False),
        partial(np.seterr, all="raise"),
        partial(warnings.filterwarnings, "error", "a message"),
    ],
)
def test_settings_that_are_changed_or_left_open_are_put_back(change: Callable[[], object]):
    before = settings()
    with undisturbed([]):
        change()
        assert settings() != before
    assert settings() == before


class Doubling(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        value = function(*args, **(kwargs or {}))
        return value * 2 if function is torch.ones else value


class DoublingOperations(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        value = function(*args, **(kwargs or {}))
        return value * 2 if function is torch.ops.aten.ones.default else value


def enter_hooks():
    saved_tensors_hooks(lambda tensor: tensor * 2, lambda tensor: tensor).__enter__()


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "enter",
    [
        lambda: Doubling().__enter__(),
        lambda: DoublingOperations().__enter__(),
        enter_hooks,
        lambda: torch.device("meta").__enter__(),
        lambda: [Doubling().__enter__(), torch.set_default_device("meta"), DoublingOperations().__enter__()],
    ],
)
def test_contexts_that_are_entered_and_not_left_are_left(enter, inside):
    outer = Doubling() if inside else nullcontext()
    with outer, saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor * 3):
        with undisturbed([]):
            enter()
        value = torch.full((2,), 3.0, requires_grad=True)
        value.square().sum().backward()
        assert value.grad.tolist() == [18, 18]
        assert torch.ones(1).tolist() == [2 if inside else 1]
    assert torch.get_default_device() == torch.device("cpu")


def test_without_a_change_warnings_are_not_shown_once_more(recwarn):
    warnings.simplefilter("default")
    for _ in range(3):
        warnings.warn("shown once", stacklevel=1)
        with undisturbed([]):
            pass
    assert len(recwarn) == 1


def triple(grad):
    return grad * 3


def scale(parameter, factor):
    parameter.grad.mul_(factor)


def add_to_all_modules(module, optimizer):
    nn.modules.module.register_module_forward_hook(lambda module, inputs, output: output * 2)


def add_to_the_parameter(module, optimizer):
    module.weight.register_hook(triple)


def add_to_a_parameter_with_gradients(module, optimizer):
    module.weight.register_post_accumulate_grad_hook(lambda parameter: scale(parameter, 3))


def add_to_the_optimizer(module, optimizer):
    optimizer.register_step_pre_hook(lambda *_: scale(module.weight, 3))


def add_to_all_optimizers(module, optimizer):
    register_optimizer_step_pre_hook(lambda *_: scale(module.weight, 3))


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    "add",
    [
        add_to_all_modules,
        add_to_the_parameter,
        add_to_a_parameter_with_gradients,
        add_to_the_optimizer,
        add_to_all_optimizers,
    ],
)
def test_hooks_that_are_added_are_removed_and_others_stay(add, before):
    def step(*, measured):
        torch.manual_seed(0)
        module = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        if before:
            module.weight.register_hook(triple)
            module.weight.register_post_accumulate_grad_hook(lambda parameter: scale(parameter, 5))
            optimizer.register_step_pre_hook(lambda *_: scale(module.weight, -1))
        if measured:
            with undisturbed([Holder(model=module, optimizer=optimizer)]):
                add(module, optimizer)
        module(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        return module.weight.detach()

    assert torch.equal(step(measured=True), step(measured=False))


@pytest.mark.parametrize(
    ("held", "draw"),
    [
        (partial(random.Random(2).random), lambda one: one.held()),  # noqa: S311
        (Holder, lambda one: one.generator.random()),
        (Holder, lambda one: float(torch.rand(1, generator=GENERATORS["noise"]))),
    ],
)
def test_generators_are_restored_that_a_method_a_class_or_a_file_holds(held, draw):
    one, states = Holder(held=held), (Holder.generator.getstate(), GENERATORS["noise"].get_state())
    expected = draw(one)
    Holder.generator.setstate(states[0])
    GENERATORS["noise"].set_state(states[1])
    if isinstance(held, partial):
        held.func.__self__.seed(2)
    with undisturbed([one]):
        draw(one)
    assert draw(one) == expected
