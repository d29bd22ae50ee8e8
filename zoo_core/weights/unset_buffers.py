"""Buffers that a module is built without a value for, and that get one in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo_core.weights.header import Header
from zoo_core.weights.matching import DTYPES, Shape


def tensor_shapes(module: nn.Module) -> dict[str, Shape | None]:
    """The shape of each parameter and each persistent buffer, by its name; None for one without a value yet.

    A buffer has no value if it is None, or empty, or lazy.
    """
    shapes: dict[str, Shape | None] = {
        name: None if is_lazy(one) else tuple(one.shape)
        for name, one in module.named_parameters(remove_duplicate=False)
    }
    for name, owner, key in _buffers(module):
        value = owner._buffers[key]
        shapes[name] = tuple(value.shape) if value is not None and not _is_unset(value) else None
    return shapes


def allocate_unset_buffers(module: nn.Module, stored: Mapping[str, tuple[torch.dtype, Shape]]) -> None:
    """Allocate the buffers without a value that are in ``stored``, by their names, so that it can be loaded.

    ``stored`` has types and shapes. A buffer that is empty keeps its type.
    """
    device = next((one.device for one in module.parameters()), torch.device("cpu"))
    for name, owner, key in _buffers(module):
        found = owner._buffers[key]
        if name in stored and _is_unset(found) and not (found is not None and is_lazy(found)):
            dtype, shape = stored[name]
            place = device if found is None else found.device
            owner._buffers[key] = torch.empty(shape, dtype=dtype if found is None else found.dtype, device=place)


def stored_tensors(header: Header) -> dict[str, tuple[torch.dtype, Shape]]:
    """The type and shape of each tensor of a file whose type PyTorch has."""
    return {name: (DTYPES[kind], shape) for name, (kind, shape) in header.tensors.items() if kind in DTYPES}


def _is_unset(value: Tensor | None) -> bool:
    return value is None or is_lazy(value) or not value.numel()


def _buffers(module: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """The name of each persistent buffer, the module that has it, and its name there."""
    for prefix, owner in module.named_modules(remove_duplicate=False):
        for key in owner._buffers.keys() - owner._non_persistent_buffers_set:
            yield f"{prefix}.{key}" if prefix else key, owner, key
