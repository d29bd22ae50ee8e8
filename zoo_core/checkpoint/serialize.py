"""Convert nested values to named tensors and JSON, and back. Nothing is pickled."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from zoo_core.config.naming import unused_name
from zoo_core.engine.fsdp import full_tensor
from zoo_core.errors import ZooError, describe_type
from zoo_core.weights.matching import DTYPES

Packed = tuple[dict[str, Tensor], Any]
"""Tensors by name, and the JSON structure that refers to them."""
_PLAIN = (bool, int, float, str, type(None))
_ALIGNMENT = 64  # bytes; PyTorch's allocators align every storage to at least this
_MAX_DEPTH = 100  # levels of nested lists, tuples and mappings


@dataclass(frozen=True)
class ObjectState:
    """The state dict of an object, to distinguish it from a mapping."""

    state: Any


def pack(value: Any) -> Packed:
    """Split a nested value into named tensors and JSON that refers to them; equal views are stored once.

    Raises:
        ZooError: if it contains a value other than tensors, numbers, strings, booleans, None, lists, tuples, dicts and
            ObjectState.
    """
    tensors: dict[str, Tensor] = {}
    seen: dict[tuple[Any, ...], str] = {}

    def plain(part: Any, path: str) -> Any:
        if isinstance(part, Tensor):
            # Not as views, which have the address and the shape of what they conjugate.
            part = full_tensor(part.detach()).resolve_conj().resolve_neg()
            same = (part.data_ptr(), part.shape, part.stride(), part.dtype)
            if same not in seen or not part.numel():  # all empty tensors have one address
                # {"a": {"b": …}, "a.b": …} has two tensors at the path "a.b".
                seen[same] = unused_name(path or "value", tensors.__contains__)
                tensors[seen[same]] = part
            on = {} if part.device.type == "cpu" else {"on": "device"}
            return {"$tensor": seen[same], **on, **_layout(part)}
        if isinstance(part, float) and not math.isfinite(part):
            return {"$float": str(part)}
        if isinstance(part, _PLAIN):
            return part
        if isinstance(part, ObjectState):
            return {"$object": plain(part.state, path)}
        if isinstance(part, dict):
            if all(isinstance(key, str) and not key.startswith("$") for key in part):
                return {key: plain(element, f"{path}.{key}" if path else key) for key, element in part.items()}
            return {"$items": [[plain(key, ""), plain(element, f"{path}.{key}")] for key, element in part.items()]}
        if isinstance(part, (list, tuple)):
            elements = [plain(element, f"{path}.{index}") for index, element in enumerate(part)]
            return {"$tuple": elements} if isinstance(part, tuple) else elements
        raise ZooError(
            f"a checkpoint cannot store '{path}', {describe_type(part)}.",
            "Use numbers, strings or tensors instead.",
        )

    structure = plain(value, "")
    return tensors, structure


def unpack(tensors: Mapping[str, Tensor], structure: Any, device: torch.device | None = None) -> Any:
    """Restore the value that was passed to :func:`pack`.

    Tensors that were not on the CPU are moved to ``device``, if it is given. Every tensor lies in memory as the packed
    one did, since the rounding of sums and products depends on strides and on alignment.
    """
    restored: dict[str, Tensor] = {}

    def value_of(part: Any) -> Any:
        if isinstance(part, list):
            return [value_of(element) for element in part]
        if not isinstance(part, dict):
            return part
        if "$tensor" in part:
            name = part["$tensor"]
            if name not in restored:
                tensor = tensors[name].to(device) if "on" in part else tensors[name]
                restored[name] = _laid_out(tensor, part["stride"], part["at"]) if "stride" in part else tensor
            return restored[name]
        if "$object" in part:
            return ObjectState(value_of(part["$object"]))
        if "$float" in part:
            return float(part["$float"])
        if "$tuple" in part:
            return tuple(value_of(element) for element in part["$tuple"])
        if "$items" in part:
            return {value_of(key): value_of(element) for key, element in part["$items"]}
        return {key: value_of(element) for key, element in part.items()}

    return value_of(structure)


def holds_objects(structure: Any) -> bool:
    """Whether a packed structure contains the state of an object."""
    if isinstance(structure, dict):
        return "$object" in structure or any(map(holds_objects, structure.values()))
    return isinstance(structure, list) and any(map(holds_objects, structure))


def find_unserializable(value: Any, path: str, depth: int = 0) -> tuple[str, Any] | None:
    """The first part of ``value`` that :func:`pack` does not support, with its path as a Python expression, or None."""
    if isinstance(value, Tensor):
        ordinary = value.layout == torch.strided and not value.is_meta and not value.is_nested
        return None if ordinary and value.dtype in DTYPES.values() else (path, value)
    if isinstance(value, _PLAIN):
        return None
    if isinstance(value, ObjectState):
        return find_unserializable(value.state, f"{path}.state_dict()", depth + 1)
    if isinstance(value, dict):
        parts = [pair for key, one in value.items() for pair in ((f"a key of {path}", key), (f"{path}[{key!r}]", one))]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{path}[{index}]", one) for index, one in enumerate(value)]
    else:
        return path, value
    if parts and depth == _MAX_DEPTH:  # such as a list that contains itself
        return path, value
    return next((found for where, part in parts if (found := find_unserializable(part, where, depth + 1))), None)


def describe_unserializable(value: Any) -> str:
    """What :func:`find_unserializable` has found, such as ``a deque`` or ``a torch.complex128 tensor``."""
    if isinstance(value, Tensor):
        kind = value.dtype if value.layout == torch.strided and not value.is_meta else value.layout
        return f"a {'nested' if value.is_nested else 'meta' if value.is_meta else kind} tensor"
    nested = isinstance(value, (dict, list, tuple))
    return describe_type(value) + (f" below {_MAX_DEPTH} others" if nested else "")


def same_layout(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one shape have the same strides, and addresses with the same alignment."""
    return one.stride() == other.stride() and (one.data_ptr() - other.data_ptr()) % _ALIGNMENT == 0


def has_usual_strides(tensor: Tensor) -> bool:
    """Whether the strides are those of a new tensor, also of dimensions of size 1, by which a convolution chooses."""
    usual = accumulate(reversed(tensor.shape[1:]), operator.mul, initial=1)
    return not tensor.ndim or tensor.stride() == tuple(usual)[::-1]


def _layout(tensor: Tensor) -> dict[str, Any]:
    """Strides and distance from an aligned address, unless the tensor is contiguous and aligned."""
    distance = tensor.data_ptr() % _ALIGNMENT
    if not tensor.numel() or (has_usual_strides(tensor) and not distance) or _overlaps(tensor):
        return {}
    return {"stride": list(tensor.stride()), "at": distance // tensor.element_size()}


def _overlaps(tensor: Tensor) -> bool:
    """Whether elements may share memory, as those of an expanded tensor, which can't be written one by one."""
    end = 0
    for stride, size in sorted(
        (stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1
    ):
        if stride <= end:
            return True
        end += stride * (size - 1)
    return False


def _laid_out(tensor: Tensor, stride: Sequence[int], at: int) -> Tensor:
    """A copy of ``tensor`` with these strides, which begins ``at`` elements after an aligned address."""
    length = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, stride, strict=True))
    memory = tensor.new_empty(at + length)
    return memory.as_strided(tensor.shape, stride, at).copy_(tensor)
