"""What a trainer's step can depend on or change without an operation on the device: numbers, and where tensors are."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from operator import attrgetter
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zoo_core.engine.places import Attributes, Places
from zoo_core.fingerprint.random_state import generator_state

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
# Not those of the standard library that hold what a plugin puts into them.
_LIBRARIES = {"torch", "accelerate", "numpy", "zoo_core"} | sys.stdlib_module_names - {
    "argparse",
    "collections",
    "types",
}
_OF_MODULES = vars(nn.Module()).keys()
_CHILDREN, _HOOKS = ("_parameters", "_buffers", "_modules"), ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
_LARGEST_ARRAY = 10_000  # elements, which are compared before every replay
_training_of = attrgetter("requires_grad", "_backward_hooks")


class HostState:
    """The values below some attributes of a trainer at one time.

    Modules, optimizers, schedules, containers, closures and objects of plugins are followed, and the global variables
    that methods of the trainer name; tensors on the device count with their place in memory and not with their values,
    which a step may change.

    Args:
        trainer: the trainer.
        names: the attributes to follow.
        device: where a step computes. Elsewhere, tensors on the CPU are values of the host.
    """

    def __init__(self, trainer: object, names: Iterable[str], device: torch.device) -> None:
        # Before every replay lists are compared with their copies as a whole, which Python does in C.
        self._containers: list[Any] = []
        self._copies: list[Any] = []
        self._forms: list[str] = []  # the path of an element, to be formatted with its key
        self._single, self._tensors = Places(), Places()
        self._addresses: dict[int, tuple[Tensor, int]] = {}  # of the tensors, by their identities
        self._in_optimizers: set[int] = set()  # identities of tensors that optimizers hold beside the parameters
        self._inner: list[tuple[str, dict[Any, Any], list[Any]]] = []  # path, dictionary, its values
        self._versions: list[tuple[str, Tensor, int]] = []  # path, tensor on the CPU, number of its modifications
        self._leaves: dict[str, Tensor] = {}  # tensors that may be trained, by path
        self._arrays: list[tuple[str, Any, Any]] = []  # path, array of NumPy, copy
        self._generators: list[tuple[str, Any, Any]] = []  # path, generator of random numbers of the host, state
        self._seen: set[int] = {id(trainer)}
        self._waiting: list[tuple[str, Any]] = []
        self._on_cpu = device.type == "cpu"
        self.parameters: list[Tensor] = []
        """All tensors that were found and require gradients."""
        self.unknown = ""
        """A value that cannot be compared, such as an iterator; "" if there is none."""
        attributes = Attributes(trainer)
        for name in names:
            if not (name == "engine" and type(attributes["engine"]).__module__.startswith("zoo_core.")):
                self._alone(f"self.{name}", attributes, name)
        for kind in type(trainer).__mro__:
            if not _of_library(kind.__module__):
                for name, value in vars(kind).items():
                    if isinstance(value, (*_PLAIN, dict, list, set)) and not name.startswith("__"):
                        self._alone(f"{kind.__name__}.{name}", vars(kind), name)
        while self._waiting:
            self._inside(*self._waiting.pop())
        self._placed = [tensor for tensor, _ in self._addresses.values()]
        self._first = [address for _, address in self._addresses.values()]
        # For each tensor that may be trained, whether it is, and its hooks.
        trained = map(_training_of, self._leaves.values())
        self._trained = [(trains, hooks and hooks.copy()) for trains, hooks in trained]

    def changed(self) -> str | None:
        """The first value that is another one now, as a Python expression, or None."""
        try:
            if self._containers == self._copies:
                return self._changed_by_itself()
        except Exception:  # noqa: S110  # a value is gone, or an object of a plugin cannot be compared
            pass
        return self._changed_in_a_container() or self._changed_by_itself() or "a value"

    def _changed_by_itself(self) -> str | None:
        if not self._single.same():
            for path, now, value in self._single.values():
                if now is not value and not _equal(now, value):
                    return path
        for path, dictionary, values in self._inner:
            if [*map(id, dictionary.values())] != values:
                return path
        if not self._tensors.same() or [*map(Tensor.data_ptr, self._placed)] != self._first:
            for path, now, held in self._tensors.values():
                if not isinstance(now, Tensor) or now.data_ptr() != self._addresses[id(held)][1]:
                    return path
        if (trained := [*map(_training_of, self._leaves.values())]) != self._trained:
            return next(p for p, one, other in zip(self._leaves, trained, self._trained, strict=True) if one != other)
        for path, tensor, version in self._versions:
            if tensor._version != version:
                return path
        for path, array, copy in self._arrays:
            if not np.array_equal(array, copy):
                return path
        return next((path for path, one, state in self._generators if generator_state(one) != state), None)

    def _changed_in_a_container(self) -> str | None:
        for form, container, copy in zip(self._forms, self._containers, self._copies, strict=True):
            if isinstance(copy, (dict, list)):
                for key in list(copy) if isinstance(copy, dict) else range(len(copy)):
                    if not _holds(container, key, copy[key]):
                        return _element(form, key)
            if len(container) != len(copy) or (not isinstance(copy, (dict, list)) and container != copy):
                return form.removesuffix(".{}").removesuffix("[{}]")
        return None

    def _alone(self, path: str, container: Any, key: Any) -> None:
        """Note one value of a container whose other values may change."""
        self._single.add(path, container, key)
        self._follow(path, container, key)

    def _follow(self, path: str, container: Any, key: Any) -> None:
        value = container[key]
        if isinstance(value, (*_PLAIN, type)):
            return
        if isinstance(value, Tensor):
            if value.layout == torch.strided and not value.is_meta:
                self._tensors.add(path, container, key)
                self._addresses[id(value)] = value, value.data_ptr()
            if id(value) not in self._seen:
                self._tensor(path, value)
        elif id(value) not in self._seen:
            self._waiting.append((path, value))
        self._seen.add(id(value))

    def _tensor(self, path: str, tensor: Tensor) -> None:
        if tensor.is_leaf and tensor.is_floating_point() and id(tensor) not in self._in_optimizers:
            self._leaves[path] = tensor
            if tensor.requires_grad:
                self.parameters.append(tensor)
        if tensor.device.type == "cpu" and not self._on_cpu:
            self._versions.append((path, tensor, tensor._version))

    def _inside(self, path: str, value: Any) -> None:
        if (state := generator_state(value)) is not None:
            self._generators.append((path, value, state))
        elif isinstance(value, nn.Module):
            self._module(path, value)
        elif isinstance(value, Optimizer):
            self._optimizer(path, getattr(value, "optimizer", value))  # unwraps Accelerate's optimizer
        elif isinstance(value, LRScheduler):
            for name in vars(value):
                if name != "optimizer":
                    self._alone(f"{path}.{name}", vars(value), name)
        elif isinstance(value, (dict, list, set, deque)):
            self._whole(f"{_braced(path)}[{{}}]", value)
        elif isinstance(value, (tuple, frozenset)):
            for index, one in enumerate(value):
                self._follow(f"{path}[{index}]", {index: one}, index)
        elif isinstance(value, np.ndarray):
            self._array(path, value)
        elif isinstance(value, partial):
            self._whole(f"{_braced(path)}.keywords[{{}}]", value.keywords)
            for name in ("func", "args"):
                self._follow(f"{path}.{name}", Attributes(value), name)
        elif isinstance(value, MethodType):
            self._follow(f"{path}.__self__", {"": value.__self__}, "")
            self._follow(path, {"": value.__func__}, "")
        elif isinstance(value, FunctionType):
            self._function(path, value)
        elif isinstance(value, Iterator):
            self.unknown = self.unknown or path
        elif not _of_library(type(value).__module__):
            self._object(path, value)

    def _module(self, path: str, module: nn.Module) -> None:
        own = vars(module)
        self._note(f"{_braced(path)}.{{}}", own)
        for name in _HOOKS:
            self._note(f"{_braced(path)}.{name}[{{}}]", own[name])
            for key in own[name]:
                self._follow(f"{path}.{name}[{key}]", own[name], key)
        for name in _CHILDREN:
            self._whole(f"{_braced(path)}.{{}}", own[name])
        for name in own:
            if name not in _OF_MODULES:
                self._follow(f"{path}.{name}", own, name)

    def _optimizer(self, path: str, optimizer: Any) -> None:
        own = vars(optimizer)
        for name in own if not _of_library(type(optimizer).__module__) else ("param_groups",):
            if name != "state":
                self._alone(f"{path}.{name}", own, name)
        state = own["state"]  # its keys are tensors, which take long to compare
        self._single.add(f"{path}.state", own, "state")
        self._inner.append((f"{path}.state", state, [*map(id, state.values())]))
        for index, inner in enumerate(state.values()):
            if isinstance(inner, dict):
                self._in_optimizers |= {id(one) for one in inner.values() if isinstance(one, Tensor)}
            self._follow(f"{path}.state[{index}]", {index: inner}, index)

    def _function(self, path: str, function: FunctionType) -> None:
        if _of_library(function.__module__ or ""):
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # it is empty
                self._alone(f"{path} ({name})", Attributes(cell), "cell_contents")
        for name in function.__code__.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, (*_PLAIN, Tensor, dict, list, set, np.ndarray)) and name in function.__globals__:
                self._alone(name, function.__globals__, name)

    def _array(self, path: str, array: Any) -> None:
        if array.size > _LARGEST_ARRAY or array.dtype.hasobject:
            self.unknown = self.unknown or path
        else:
            self._arrays.append((path, array, array.copy()))

    def _object(self, path: str, value: Any) -> None:
        if hasattr(value, "__dict__"):
            self._whole(f"{_braced(path)}.{{}}", vars(value))
        slots = slots_of(value)
        for name in slots:
            if hasattr(value, name) and name not in ("__dict__", "__weakref__"):
                self._alone(f"{path}.{name}", Attributes(value), name)
        if isinstance(value, Mapping) and not slots and not hasattr(value, "__dict__"):
            self.unknown = self.unknown or path

    def _whole(self, form: str, container: Any) -> None:
        """Note a container and all that it contains."""
        self._note(form, container)
        if isinstance(container, set):
            for one in container:
                self._follow(form.removesuffix("[{}]"), {"": one}, "")
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            if not isinstance(container, set):
                self._follow(_element(form, key), container, key)

    def _note(self, form: str, container: Any) -> None:
        self._forms.append(form)
        self._containers.append(container)
        kind = next(one for one in (dict, list, set, deque) if isinstance(container, one))
        self._copies.append(kind(container))


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, _PLAIN) and bool(one == other)


def _holds(container: Any, key: Any, value: Any) -> bool:
    try:
        return container[key] is value or _equal(container[key], value)
    except (LookupError, TypeError):
        return False


def _element(form: str, key: Any) -> str:
    return form.format(repr(key) if form.endswith("]") else key)


def _braced(path: str) -> str:
    return path.replace("{", "{{").replace("}", "}}")


def slots_of(value: object) -> list[str]:
    """The names in ``__slots__`` of the class of an object and of its bases."""
    found = [getattr(kind, "__slots__", ()) for kind in type(value).__mro__]
    return [name for slots in found for name in ([slots] if isinstance(slots, str) else slots)]


def _of_library(module: str) -> bool:
    return module.partition(".")[0] in _LIBRARIES
