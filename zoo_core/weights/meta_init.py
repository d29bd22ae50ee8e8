"""A model of a header's settings, built without memory; a header is a stranger's, and may ask for far too much."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import contextmanager
from itertools import chain
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from zoo_core.errors import BadFile, ZooError, one_line
from zoo_core.model import Model
from zoo_core.weights.header import Header

_OWN = vars(nn.Module()).keys()  # attributes that every module has: its parameters, buffers, hooks
_MOST_MORE = 10  # how many times what a file holds its settings may build


def build_empty(header: Header, model_class: type[Any], config: Any) -> Model:
    """The model on the meta device: shapes without memory or initial values.

    A header is a stranger's: settings that would build a network of far more tensors than the file has are refused
    before they fill the memory.
    """
    most = _MOST_MORE * len(header.tensors) + 1000
    try:
        with _at_most(most), torch.device("meta"), SkipInit():
            return build(header, model_class, config)
    except _TooMany:
        raise BadFile(
            f"{header.path}: its settings build a network of more than {most:,} tensors and modules, "
            f"but it holds {len(header.tensors):,} tensors.",
            f"The file says that it is {header.says()}.",
        ) from None


def build(header: Header, model_class: type[Any], config: Any) -> Model:
    try:
        model: Model = model_class(config)
    except (ZooError, _TooMany):
        raise
    except Exception as error:  # a plugin's code with a stranger's settings: it may raise anything
        reason = one_line(str(error)) or "it gave no reason"
        raise BadFile(
            f"{header.path}: a {model_class.__name__} of its settings can't be built: {type(error).__name__}: {reason}",
            f"The file says that it is {header.says()}. A model should build under torch.device('meta').",
        ) from error
    return model


def refuse_enormous(header: Header, model: Model) -> None:
    """``model`` is empty; once it is built with initial values, it takes the memory that the settings ask for."""
    attributes = (one for module in model.modules() for one in vars(module).values() if isinstance(one, Tensor))
    needed = sum(tensor.numel() for tensor in chain(model.parameters(), model.buffers(), attributes))
    most = _MOST_MORE * header.parameters + 2**26
    if needed > most:
        raise BadFile(
            f"{header.path}: its settings build a network of {needed:,} numbers, but it holds {header.parameters:,}.",
            f"The file says that it is {header.says()}.",
        )


class SkipInit(TorchFunctionMode):
    """Inside, ``torch.nn.init`` leaves tensors of ``kind`` as they are: what is on the meta device, or is read from a
    file next, needs no values, and they take time."""

    def __init__(self, kind: type[Tensor] = Tensor) -> None:
        super().__init__()
        self._kind = kind

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            tensor = args[0] if args else kwargs["tensor"]
            if isinstance(tensor, self._kind):
                return tensor
        return func(*args, **(kwargs or {}))


def holds_more(model: Model) -> bool:
    """Whether the model has tensors that are in no file: buffers that are not kept, or plain attributes."""
    for module in model.modules():
        if module._non_persistent_buffers_set:
            return True
        if any(_has_tensor(one) for name, one in vars(module).items() if name not in _OWN):
            return True
    return False


def _has_tensor(held: Any, depth: int = 5) -> bool:
    """Whether ``held`` is one, or has one within: among its elements, or the attributes of a plain object."""
    if isinstance(held, (list, tuple, set, frozenset)):
        inner: Iterable[Any] = held
    elif isinstance(held, dict):
        inner = held.values()
    # isinstance(held, Tensor) looks further than the class, and takes longer than all the rest of this.
    elif Tensor in type(held).__mro__:
        return True
    elif callable(held) or isinstance(held, ModuleType):  # a class, a function, a module of torch's
        return False
    else:
        inner = getattr(held, "__dict__", {}).values()
    return depth > 0 and any(_has_tensor(one, depth - 1) for one in inner)


class _TooMany(Exception):
    pass


@contextmanager
def _at_most(count: int) -> Any:
    """Inside, registering more parameters and modules than ``count`` raises _TooMany; the hooks are of all threads."""
    seen, thread = 0, threading.get_ident()

    def note(module: nn.Module, name: str, registered: nn.Parameter | nn.Module | None) -> None:
        nonlocal seen
        if threading.get_ident() != thread:
            return
        seen += 1
        if seen > count:
            raise _TooMany

    handles = [register_module_parameter_registration_hook(note), register_module_module_registration_hook(note)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
