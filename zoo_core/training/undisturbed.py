"""Measuring does not change training: what an evaluation or a preview disturbs is put back afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from zoo_core.fingerprint.random_state import random_state_kept
from zoo_core.training.kept_attributes import KeptAttributes, Limits
from zoo_core.training.kept_value import GENERATORS, kept
from zoo_core.training.measured_settings import hooks_kept, settings_kept
from zoo_core.training.reachable import is_of_library, package_of, reachable, shared_by_class


@contextmanager
def undisturbed(holders: Iterable[object]) -> Iterator[None]:
    """Context after which training continues as if its body had not run.

    Restored are the mode of every module, ``requires_grad`` and ``grad`` of every parameter, the buffers, hooks,
    submodules and attributes of the modules with what is inside these, the random states of torch, NumPy and
    ``random`` and of generators of their own, also those of their classes and of the files that define these, and the
    settings of torch, such as the gradient mode, the default type, autocast and hooks of all modules.
    Inside, gradients are set aside, so that a backward pass adds nothing to them.

    A module whose non-persistent buffers have become other in shape, such as a cache that has grown, keeps these and
    its attributes.

    Parameters are not copied: an evaluation that exchanges weights has to put them back, or is refused
    (``StateDigest``); so is one that changes their type, after which their gradients are lost.

    Args:
        holders: the model and what the trainer holds. Modules are also found inside lists, tuples, sets, mappings,
            objects, closures, partial functions and bound methods.
    """
    held = list(holders)
    found = list(reachable(held))
    modules = [one for one in found if isinstance(one, nn.Module)]
    optimizers = [one for one in found if isinstance(one, torch.optim.Optimizer)]
    with ExitStack() as stack:
        for put_back in (_keep_random_state, settings_kept):
            stack.enter_context(put_back())
        stack.enter_context(kept(one for one in (*found, *shared_by_class(found)) if isinstance(one, GENERATORS)))
        stack.enter_context(hooks_kept(optimizers, [one for module in modules for one in module.parameters(False)]))
        stack.enter_context(_keep_modules(modules, _limits(held, modules)))
        yield


def _limits(holders: Iterable[object], modules: list[nn.Module]) -> Limits:
    """What the trainer holds itself, and the parameters and buffers, are not put back with a module's attributes."""
    tensors = (one for module in modules for one in (*module._parameters.values(), *module._buffers.values()))
    of_trainer = reachable(holders, opens=lambda one: not isinstance(one, nn.Module))
    packages = {package_of(module) for module in modules if not is_of_library(module)}
    return Limits(frozenset(id(one) for one in (*of_trainer, *tensors)), frozenset(packages))


@contextmanager
def _keep_modules(modules: list[nn.Module], limits: Limits) -> Iterator[None]:
    modes = [(module, module.training) for module in modules]
    parameters = {id(one): one for module in modules for one in module.parameters(recurse=False)}.values()
    gradients = [_KeptGradient(parameter) for parameter in parameters]
    kept = [_KeptModule(module, limits) for module in modules]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for gradient in gradients:
            gradient.put_back()
        with torch.no_grad():
            for one in kept:
                one.put_back()


class _KeptGradient:
    """The gradient of a parameter, which is set aside, and the settings of the parameter for it."""

    def __init__(self, parameter: nn.Parameter) -> None:
        self._parameter, self._requires_grad, self._gradient = parameter, parameter.requires_grad, parameter.grad
        self._form, self._dtype = _form(parameter), _grad_dtype(parameter)
        parameter.grad = None

    def put_back(self) -> None:
        """Put them back, unless the parameter has another type, shape or device, and the gradient does not fit it."""
        parameter = self._parameter
        if parameter.requires_grad is not self._requires_grad:
            parameter.requires_grad_(self._requires_grad)
        parameter.grad = None  # which may have another type, and then keeps the parameter from getting its own
        if _form(parameter) == self._form:
            if _grad_dtype(parameter) != self._dtype:
                parameter.grad_dtype = self._dtype
            parameter.grad = self._gradient


def _form(parameter: nn.Parameter) -> tuple[object, ...]:
    return parameter.dtype, parameter.shape, parameter.device


def _grad_dtype(parameter: Any) -> torch.dtype | None:
    """The type that gradients of a parameter must have; None for any. Versions of torch without it have its own."""
    found: torch.dtype | None = getattr(parameter, "grad_dtype", parameter.dtype)
    return found


class _KeptModule:
    """The buffers of a module, with copies of their values, its hooks and submodules, and its attributes."""

    def __init__(self, module: nn.Module, limits: Limits) -> None:
        self._module = module
        self._buffers = {
            name: (buffer, buffer.detach().clone()) for name, buffer in module._buffers.items() if buffer is not None
        }
        self._attributes = KeptAttributes(module, limits) if _keeps_attributes(module) else None

    def put_back(self) -> None:
        """Put back what has changed: all, or the persistent buffers only if the others have grown."""
        module = self._module
        caches = {name: module._buffers.get(name) for name in module._non_persistent_buffers_set}
        grown = any(
            buffer is not None and (name not in self._buffers or buffer.shape != self._buffers[name][1].shape)
            for name, buffer in caches.items()
        )
        for name, (buffer, copy) in self._buffers.items():
            if grown and name in caches:
                continue
            module._buffers[name] = buffer
            # Its version says nothing: batch normalization does not count it up.
            if not torch.equal(buffer, copy):
                buffer.copy_(copy)
        if self._attributes and not grown:
            self._attributes.put_back()


def _keeps_attributes(module: nn.Module) -> bool:
    """Whether a module has attributes that its author may change; wrappers, such as compiled modules, have others."""
    return not is_of_library(module) or type(module).__module__.startswith(("torch.nn.modules", "torch.nn.utils"))


@contextmanager
def _keep_random_state() -> Iterator[None]:
    devices: list[Any] = []
    if torch.accelerator.is_available():
        devices = [torch.get_device_module(torch.accelerator.current_accelerator())]
    states = [(module, module.get_rng_state()) for module in devices]
    try:
        with random_state_kept():
            yield
    finally:
        for module, state in states:
            module.set_rng_state(state)
