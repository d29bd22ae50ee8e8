"""What a trainer's step can depend on or change without an operation on the device: numbers, and where tensors are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
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
        # What is compared before every replay takes 0.1 us for each value in this form.
        self._values: list[tuple[Any, Any, Any]] = []  # container, key, value
        self._addresses: list[tuple[Tensor, int]] = []
        self._versions: list[tuple[Tensor, int]] = []  # of tensors on the CPU: how often they were modified
        self._lengths: list[tuple[Any, int]] = []
        self._paths: dict[str, list[str]] = {"values": [], "addresses": [], "versions": [], "lengths": []}
        self._seen: set[int] = set()
        self._on_cpu = device.type == "cpu"
        self.parameters: list[Tensor] = []
        """All tensors that were found and require gradients."""
        attributes = vars(trainer)
        for name in names:
            if name in attributes and name not in _NOT_FOLLOWED:
                self._add(f"self.{name}", attributes, name)

    def changed(self) -> str | None:
        """The first value that is another one now, as a Python expression, or None."""
        number = -1
        try:
            for number, (container, key, value) in enumerate(self._values):
                if container[key] is not value and not _equal(container[key], value):
                    return self._paths["values"][number]
        except (LookupError, AttributeError):
            return self._paths["values"][number]
        for number, (tensor, address) in enumerate(self._addresses):
            if tensor.data_ptr() != address:
                return self._paths["addresses"][number]
        for number, (tensor, version) in enumerate(self._versions):
            if tensor._version != version:
                return self._paths["versions"][number]
        for number, (container, length) in enumerate(self._lengths):
            if len(container) != length:
                return self._paths["lengths"][number]
        return None

    def _add(self, path: str, container: Any, key: Any) -> None:
        value = container[key]
        self._note("values", path, (container, key, value))
        if isinstance(value, (*_PLAIN, type)) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, Tensor):
            if value.requires_grad and value.is_leaf:
                self.parameters.append(value)
            if value.layout == torch.strided and not value.is_meta:
                self._note("addresses", path, (value, value.data_ptr()))
            if value.device.type == "cpu" and not self._on_cpu:
                self._note("versions", path, (value, value._version))
        else:
            self._follow(path, value)

    def _note(self, kind: str, path: str, found: tuple[Any, ...]) -> None:
        getattr(self, f"_{kind}").append(found)
        self._paths[kind].append(path)

    def _follow(self, path: str, value: Any) -> None:
        if isinstance(value, nn.Module):
            self._module(path, value)
        elif isinstance(value, Optimizer):
            self._optimizer(path, value)
        elif isinstance(value, LRScheduler):
            self._mapping(path, {k: v for k, v in vars(value).items() if k != "optimizer"}, vars(value), "{}.{}")
        elif isinstance(value, Mapping):
            self._note("lengths", path, (value, len(value)))
            self._mapping(path, value, value, "{}[{!r}]")
        elif isinstance(value, (list, tuple)):
            self._note("lengths", path, (value, len(value)))
            for index in range(len(value)):
                self._add(f"{path}[{index}]", value, index)
        elif isinstance(value, partial):
            self._mapping(path, value.keywords, value.keywords, "{}.keywords[{!r}]")
            self._mapping(path, dict(enumerate(value.args)), value.args, "{}.args[{}]")
        elif isinstance(value, MethodType):
            self._add(f"{path}.__self__", {"__self__": value.__self__}, "__self__")
        elif not _of_library(value) and hasattr(value, "__dict__"):
            self._mapping(path, vars(value), vars(value), "{}.{}")

    def _mapping(self, path: str, items: Mapping[Any, Any], container: Any, form: str) -> None:
        for key in list(items):
            self._add(form.format(path, key), container, key)

    def _module(self, path: str, module: nn.Module) -> None:
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers", "_modules"):
                self._mapping(path, value, value, "{}.{}")
            elif isinstance(value, (Tensor, *_PLAIN)) or not name.startswith("_"):
                self._add(f"{path}.{name}", vars(module), name)

    def _optimizer(self, path: str, optimizer: Optimizer) -> None:
        own = vars(getattr(optimizer, "optimizer", optimizer))  # unwraps Accelerate's optimizer
        self._add(f"{path}.param_groups", own, "param_groups")
        self._note("values", f"{path}.state", (own, "state", own["state"]))
        for index, (parameter, state) in enumerate(own["state"].items()):
            self._note("values", f"{path}.state[{index}]", (own["state"], parameter, state))
            self._mapping(f"{path}.state[{index}]", state, state, "{}[{!r}]")


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


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, _PLAIN) and bool(one == other)


def _of_library(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in ("torch", "accelerate", "numpy", "builtins", "functools")
