"""What a trainer's step can depend on or change without an operation on the device: numbers, and where tensors are."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
_COPIED = (dict, list, set, deque)
_NOT_FOLLOWED = ("config", "engine")


class HostState:
    """The values below some attributes of a trainer at one time.

    Modules, optimizers, schedules, containers and objects of plugins are followed; tensors on the device count with
    their place in memory and not with their values, which a step may change.

    Args:
        trainer: the trainer.
        names: the attributes to follow.
        device: where a step computes. Elsewhere, tensors on the CPU are values of the host.
    """

    def __init__(self, trainer: object, names: Iterable[str], device: torch.device) -> None:
        # Before every replay all containers are compared with their copies at once, which Python does in C.
        self._containers: list[Any] = []
        self._copies: list[Any] = []
        self._forms: list[str] = []  # the path of an element, to be formatted with its key
        self._single: list[tuple[str, Any, Any, Any]] = []  # path, container, key, value
        self._tensors: list[tuple[Any, Any, int]] = []  # container, key, address
        self._tensor_paths: list[str] = []
        self._versions: list[tuple[str, Tensor, int]] = []  # path, tensor on the CPU, number of its modifications
        self._generators: list[tuple[str, Any, Any]] = []  # path, generator of random numbers of the host, state
        self._seen: set[int] = set()
        self._on_cpu = device.type == "cpu"
        self.parameters: list[Tensor] = []
        """All tensors that were found and require gradients."""
        attributes = vars(trainer)
        for name in names:
            if name in attributes and name not in _NOT_FOLLOWED:
                self._alone(f"self.{name}", attributes, name)

    def changed(self) -> str | None:
        """The first value that is another one now, as a Python expression, or None."""
        try:
            if self._containers == self._copies:
                for path, container, key, value in self._single:
                    if container[key] is not value and not _equal(container[key], value):
                        return path
                for number, (container, key, address) in enumerate(self._tensors):
                    if container[key].data_ptr() != address:
                        return self._tensor_paths[number]
                for path, tensor, version in self._versions:
                    if tensor._version != version:
                        return path
                return next((path for path, one, state in self._generators if _random_state(one) != state), None)
        except (LookupError, AttributeError, RuntimeError, TypeError, ValueError):
            pass  # a value is gone, or cannot be compared with the one before
        return self._first_changed()

    def _first_changed(self) -> str:
        for form, container, copy in zip(self._forms, self._containers, self._copies, strict=True):
            if isinstance(copy, (dict, list)):
                keys = list(copy) if isinstance(copy, dict) else range(len(copy))
                for key in keys:
                    if not _holds(container, key, copy[key]):
                        return _element(form, key)
            if len(container) != len(copy) or not isinstance(copy, (dict, list)):
                return form.removesuffix(".{}").removesuffix("[{}]")
        for path, container, key, value in self._single:
            if not _holds(container, key, value):
                return path
        return next(
            (
                path
                for path, (container, key, address) in zip(self._tensor_paths, self._tensors, strict=True)
                if _address(container, key) != address
            ),
            "a value",
        )

    def _alone(self, path: str, container: Any, key: Any) -> None:
        """Note one value of a container whose other values may change."""
        self._single.append((path, container, key, container[key]))
        self._follow(path, container, key)

    def _follow(self, path: str, container: Any, key: Any) -> None:
        value = container[key]
        if isinstance(value, (*_PLAIN, type)):
            return
        if isinstance(value, Tensor):
            if value.layout == torch.strided and not value.is_meta:
                self._tensors.append((container, key, value.data_ptr()))
                self._tensor_paths.append(path)
            if id(value) not in self._seen:
                self._tensor(path, value)
        elif id(value) not in self._seen:
            self._inside(path, value)
        self._seen.add(id(value))

    def _tensor(self, path: str, tensor: Tensor) -> None:
        if tensor.requires_grad and tensor.is_leaf:
            self.parameters.append(tensor)
        if tensor.device.type == "cpu" and not self._on_cpu:
            self._versions.append((path, tensor, tensor._version))

    def _inside(self, path: str, value: Any) -> None:
        if (state := _random_state(value)) is not None:
            self._generators.append((path, value, state))
        elif isinstance(value, nn.Module):
            self._module(path, value)
        elif isinstance(value, Optimizer):
            own = vars(getattr(value, "optimizer", value))  # unwraps Accelerate's optimizer
            self._alone(f"{path}.param_groups", own, "param_groups")
            self._alone(f"{path}.state", own, "state")
        elif isinstance(value, LRScheduler):
            for name in vars(value).keys() - {"optimizer"}:
                self._alone(f"{path}.{name}", vars(value), name)
        elif isinstance(value, _COPIED):
            self._whole(f"{_braced(path)}[{{}}]", value)
        elif isinstance(value, tuple):
            for index in range(len(value)):
                self._follow(f"{path}[{index}]", value, index)
        elif isinstance(value, Mapping):
            for key in value:
                self._alone(f"{path}[{key!r}]", value, key)
        elif isinstance(value, partial):
            self._whole(f"{_braced(path)}.keywords[{{}}]", value.keywords)
            self._inside(f"{path}.args", value.args)
        elif isinstance(value, MethodType):
            self._follow(f"{path}.__self__", {"": value.__self__}, "")
        elif not _of_library(value) and hasattr(value, "__dict__"):
            self._whole(f"{_braced(path)}.{{}}", vars(value))

    def _module(self, path: str, module: nn.Module) -> None:
        own = vars(module)
        self._note(f"{_braced(path)}.{{}}", own)
        for name, value in list(own.items()):
            if name in ("_parameters", "_buffers", "_modules"):
                self._whole(f"{_braced(path)}.{{}}", value)
            elif isinstance(value, Tensor) or not name.startswith("_"):
                self._follow(f"{path}.{name}", own, name)

    def _whole(self, form: str, container: Any) -> None:
        """Note a container and all that it contains."""
        self._note(form, container)
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys if isinstance(container, (dict, list, deque)) else ():
            self._follow(_element(form, key), container, key)

    def _note(self, form: str, container: Any) -> None:
        self._forms.append(form)
        self._containers.append(container)
        self._copies.append(container.copy())


@contextmanager
def attributes_read(trainer: Any) -> Iterator[set[str]]:
    """Context that collects the names of the attributes of ``trainer`` that are read inside it."""
    names: set[str] = set()
    kind: Any = type(trainer)
    read, own = kind.__getattribute__, vars(kind).get("__getattribute__")

    def note(self: Any, name: str) -> Any:
        if self is trainer:
            names.add(name)
        return read(self, name)

    kind.__getattribute__ = note  # of the class, since Python does not look it up in an object
    try:
        yield names
    finally:
        if own is None:
            del kind.__getattribute__
        else:
            kind.__getattribute__ = own
        if "__dict__" in names:
            names |= vars(trainer).keys()


def _random_state(value: Any) -> Any:
    """The state of a generator of random numbers on the host; None for anything else."""
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator) and value.device.type == "cpu":
        return value.get_state().numpy().tobytes()
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        bits: Any = value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
        key = bits.state["state"].get("key")  # an array in some kinds, of which text shows the ends
        return str(bits.state), None if key is None else key.tobytes()
    return None


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, _PLAIN) and bool(one == other)


def _holds(container: Any, key: Any, value: Any) -> bool:
    try:
        return container[key] is value or _equal(container[key], value)
    except (LookupError, TypeError):
        return False


def _address(container: Any, key: Any) -> int:
    try:
        value = container[key]
    except LookupError:
        return 0
    return value.data_ptr() if isinstance(value, Tensor) else 0


def _element(form: str, key: Any) -> str:
    if isinstance(key, Tensor):  # a parameter is a key of the state of an optimizer
        return form.format("...")
    return form.format(repr(key) if form.endswith("]") else key)


def _braced(path: str) -> str:
    return path.replace("{", "{{").replace("}", "}}")


def _of_library(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in ("torch", "accelerate", "numpy", "builtins", "functools")
