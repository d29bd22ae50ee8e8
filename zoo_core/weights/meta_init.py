"""Build the model of a header on the meta device, with limits on its size, since a header is untrusted input."""

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
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from zoo_core.errors import BadFile, ZooError, one_line
from zoo_core.model import Model
from zoo_core.registry.requirements import explain
from zoo_core.weights.header import Header

_MODULE_ATTRIBUTES = vars(nn.Module()).keys()  # of every module: parameters, buffers, hooks
_MAX_RATIO = 10  # of what the settings build to what the file contains


def build_empty(header: Header, model_class: type[Any], config: Any) -> Model:
    """Build the model on the meta device: shapes without memory or initial values.

    Raises:
        BadFile: if the settings are invalid, or build a network of far more tensors than the file contains.
    """
    limit = _MAX_RATIO * len(header.tensors) + 1000
    try:
        with _limit_registrations(limit), torch.device("meta"), SkipInit():
            return build(header, model_class, config)
    except _LimitExceeded:
        raise BadFile(
            f"{header.path}: its settings build a network of more than {limit:,} tensors and modules, "
            f"but the file holds {len(header.tensors):,} tensors.",
            f"According to its header, it is {header.summary()}.",
        ) from None


def build(header: Header, model_class: type[Any], config: Any) -> Model:
    """Build the model with its initial values.

    Raises:
        BadFile: if its constructor fails.
    """
    try:
        model: Model = model_class(config)
    except (ZooError, _LimitExceeded):
        raise
    except Exception as error:  # plugin code with untrusted settings may raise anything
        if missing := explain(error):
            raise missing from error
        reason = one_line(str(error)) or "it gave no reason"
        raise BadFile(
            f"{header.path}: {model_class.__name__} can't be built from its settings: {type(error).__name__}: {reason}",
            f"According to its header, it is {header.summary()}. A model should support torch.device('meta').",
        ) from error
    return model


def check_size(header: Header, model: Model) -> None:
    """Raise BadFile if ``model``, built on the meta device, would need far more memory than the file contains."""
    attributes = (value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor))
    tensors = chain(model.parameters(), model.buffers(), attributes)
    needed = sum(tensor.numel() for tensor in tensors if not is_lazy(tensor))
    limit = _MAX_RATIO * header.elements + 2**26
    if needed > limit:
        raise BadFile(
            f"{header.path}: its settings build a network of {needed:,} values, "
            f"but the file holds {header.elements:,}.",
            f"According to its header, it is {header.summary()}.",
        )


class SkipInit(TorchFunctionMode):
    """Context in which ``torch.nn.init`` skips tensors of ``tensor_class``.

    Saves the time of initializing tensors that are on the meta device or are about to be loaded from a file.
    """

    def __init__(self, tensor_class: type[Tensor] = Tensor) -> None:
        super().__init__()
        self._tensor_class = tensor_class

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            tensor = args[0] if args else kwargs["tensor"]
            if isinstance(tensor, self._tensor_class):
                return tensor
        return func(*args, **(kwargs or {}))


def has_unsaved_tensors(model: Model) -> bool:
    """Whether the model has tensors outside its state dict: non-persistent buffers or plain attributes."""
    for module in model.modules():
        if module._non_persistent_buffers_set:
            return True
        if any(_has_tensor(value) for name, value in vars(module).items() if name not in _MODULE_ATTRIBUTES):
            return True
    return False


def _has_tensor(value: Any, depth: int = 5) -> bool:
    """Whether ``value`` is a tensor or contains one among its elements or the attributes of a plain object."""
    if isinstance(value, (list, tuple, set, frozenset)):
        inner: Iterable[Any] = value
    elif isinstance(value, dict):
        inner = value.values()
    # isinstance(value, Tensor) calls Tensor's metaclass, which takes longer than the rest of this function.
    elif Tensor in type(value).__mro__:
        return True
    elif callable(value) or isinstance(value, ModuleType):  # a class, function, nn.Module or Python module
        return False
    else:
        inner = getattr(value, "__dict__", {}).values()
    return depth > 0 and any(_has_tensor(element, depth - 1) for element in inner)


class _LimitExceeded(Exception):
    pass


@contextmanager
def _limit_registrations(limit: int) -> Any:
    """Context in which registering more than ``limit`` parameters and modules raises _LimitExceeded.

    The hooks are global, so that registrations of other threads are ignored.
    """
    count, thread = 0, threading.get_ident()

    def on_registration(module: nn.Module, name: str, registered: nn.Parameter | nn.Module | None) -> None:
        nonlocal count
        if threading.get_ident() != thread:
            return
        count += 1
        if count > limit:
            raise _LimitExceeded

    handles = [
        register_module_parameter_registration_hook(on_registration),
        register_module_module_registration_hook(on_registration),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
