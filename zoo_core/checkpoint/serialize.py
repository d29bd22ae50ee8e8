"""Convert nested values to named tensors and JSON, and back. Nothing is pickled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zoo_core.engine.fsdp import full_tensor
from zoo_core.errors import ZooError
from zoo_core.naming import unused_name

Packed = tuple[dict[str, Tensor], Any]
"""Tensors by name, and the JSON structure that refers to them."""
_PLAIN = (bool, int, float, str, type(None))


def pack(value: Any) -> Packed:
    """Split a nested value into named tensors and JSON that refers to them; equal views are stored once.

    Raises:
        ZooError: if it contains a value other than tensors, numbers, strings, booleans, None, lists, tuples and dicts.
    """
    tensors: dict[str, Tensor] = {}
    seen: dict[tuple[Any, ...], str] = {}

    def plain(part: Any, path: str) -> Any:
        if isinstance(part, Tensor):
            part = full_tensor(part.detach())
            same = (part.data_ptr(), part.shape, part.stride(), part.dtype)
            if same not in seen or not part.numel():  # all empty tensors have one address
                # {"a": {"b": …}, "a.b": …} has two tensors at the path "a.b".
                seen[same] = unused_name(path or "value", tensors.__contains__)
                tensors[seen[same]] = part
            return {"$tensor": seen[same], **({} if part.device.type == "cpu" else {"on": "device"})}
        if isinstance(part, float) and not math.isfinite(part):
            return {"$float": str(part)}
        if isinstance(part, _PLAIN):
            return part
        if isinstance(part, dict):
            if all(isinstance(key, str) and not key.startswith("$") for key in part):
                return {key: plain(element, f"{path}.{key}" if path else key) for key, element in part.items()}
            return {"$items": [[plain(key, ""), plain(element, f"{path}.{key}")] for key, element in part.items()]}
        if isinstance(part, (list, tuple)):
            elements = [plain(element, f"{path}.{index}") for index, element in enumerate(part)]
            return {"$tuple": elements} if isinstance(part, tuple) else elements
        raise ZooError(
            f"a checkpoint cannot store '{path}', a {type(part).__name__}.",
            "Use numbers, strings or tensors instead.",
        )

    structure = plain(value, "")
    return tensors, structure


def unpack(tensors: Mapping[str, Tensor], structure: Any, device: torch.device | None = None) -> Any:
    """Restore the value that was passed to :func:`pack`.

    Tensors that were not on the CPU are moved to ``device``, if it is given.
    """
    if isinstance(structure, list):
        return [unpack(tensors, element, device) for element in structure]
    if not isinstance(structure, dict):
        return structure
    if "$tensor" in structure:
        tensor = tensors[structure["$tensor"]]
        return tensor.to(device) if "on" in structure else tensor
    if "$float" in structure:
        return float(structure["$float"])
    if "$tuple" in structure:
        return tuple(unpack(tensors, element, device) for element in structure["$tuple"])
    if "$items" in structure:
        items = [(unpack(tensors, key), unpack(tensors, element, device)) for key, element in structure["$items"]]
        return dict(items)
    return {key: unpack(tensors, element, device) for key, element in structure.items()}


def find_unserializable(value: Any, path: str) -> tuple[str, Any] | None:
    """The first part of ``value`` that :func:`pack` does not support, with its path as a Python expression, or None."""
    if isinstance(value, (Tensor, *_PLAIN)):
        return None
    if isinstance(value, dict):
        parts = [pair for key, one in value.items() for pair in ((f"a key of {path}", key), (f"{path}[{key!r}]", one))]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{path}[{index}]", one) for index, one in enumerate(value)]
    else:
        return path, value
    return next((found for where, part in parts if (found := find_unserializable(part, where))), None)


def describe_type(value: Any) -> str:
    """Type of ``value`` for an error message, such as ``a tensor (3, 4)`` or ``a str``."""
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
