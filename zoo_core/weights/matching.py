"""Match the tensors of a file with those of a model by name, shape and type, and restore tied tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor

from zoo_core.errors import BadFile
from zoo_core.model import Model
from zoo_core.weights.header import Header
from zoo_core.weights.values import same_bits

DTYPES = {  # names of PyTorch's types in safetensors
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
Shape = tuple[int, ...]


@dataclass(frozen=True)
class IncompatibleKeys:
    """Tensors that `load` did not load with ``strict=False``: names and shapes.

    True if there are any.

    Attributes
    ----------
    missing : mapping of str to tuple of int
        Tensors of the model that the file does not have, with their shapes. They keep their initial values.
    unexpected : mapping of str to tuple of int
        Tensors of the file that the model does not have, with their shapes.
    mismatched : mapping of str to (tuple of int, tuple of int)
        Tensors with another shape in the file than in the model, with both shapes in this order. They keep their
        initial values.

    See Also
    --------
    load : Load a model with its weights.
    """

    missing: Mapping[str, Shape] = field(default_factory=dict)
    unexpected: Mapping[str, Shape] = field(default_factory=dict)
    mismatched: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)


def compare(
    header: Header, expected: Mapping[str, tuple[torch.dtype, Shape]], model: str, strict: bool, settings_changed: bool
) -> IncompatibleKeys:
    """Compare the tensors of a file with those that the model expects.

    Raises:
        BadFile: if a type does not match or, with ``strict``, if a name or a shape does not.
    """
    path, stored = header.path, header.tensors
    hint = f"According to its header, it is {header.summary()}."
    if settings_changed and strict:
        hint += " To load only the tensors that fit, use strict=False."
    missing = {name: shape for name, (_, shape) in expected.items() if name not in stored}
    unexpected = {name: shape for name, (_, shape) in stored.items() if name not in expected}
    mismatched = {name: (stored[name][1], shape) for name, (_, shape) in expected.items() if name in stored}
    mismatched = {name: shapes for name, shapes in mismatched.items() if shapes[0] != shapes[1]}
    if strict and mismatched:
        name, (actual, required) = next(iter(mismatched.items()))
        raise BadFile(f"{path}: '{name}' has shape {actual}, but {model} has {required}.", hint)
    if strict and missing:
        name, shape = next(iter(missing.items()))
        raise BadFile(f"{path} lacks '{name}' {shape}, which {model} has.", hint)
    if strict and unexpected:
        name, shape = next(iter(unexpected.items()))
        raise BadFile(f"{path} has '{name}' {shape}, which {model} does not have.", hint)
    for name, (dtype, _) in expected.items():
        if name in stored and name not in mismatched and not _is_compatible(DTYPES.get(stored[name][0]), dtype):
            required_dtype = str(dtype).removeprefix("torch.")
            raise BadFile(f"{path}: '{name}' has type {stored[name][0]}, but {model} has {required_dtype}.", hint)
    return IncompatibleKeys(missing, unexpected, mismatched)


def parameter_names(model: Model) -> set[str]:
    """All names of the parameters of a model. Their values must be finite; buffers, such as masks, may hold -inf."""
    return {name for name, _ in model.named_parameters(remove_duplicate=False)}


def tied_names(model: Model) -> list[list[str]]:
    """The names of each parameter or buffer that has several names (tied weights)."""
    names: dict[int, list[str]] = {}
    for name, tensor in chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    ):
        names.setdefault(id(tensor), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def tie(model: Model, names: list[str], tensors: Mapping[str, Tensor], header: Header) -> None:
    """Tie the tensors ``names`` of the model again, which loading has separated.

    Raises:
        BadFile: if the file holds different values for them.
    """
    loaded = [name for name in names if name in tensors] or names[:1]
    refuse_different(model, loaded, tensors, header)
    owner, _, attribute = loaded[0].rpartition(".")
    tensor = getattr(model.get_submodule(owner), attribute)
    for name in names:
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, tensor)


def refuse_different(model: Model, names: list[str], tensors: Mapping[str, Tensor], header: Header) -> None:
    """Raise BadFile if a file holds different values for ``names``, which the model ties."""
    for name in names[1:]:
        if not same_bits(tensors[names[0]], tensors[name]):
            raise BadFile(
                f"{header.path}: '{names[0]}' and '{name}' differ, but {type(model).__name__} ties them.",
                f"According to its header, it is {header.summary()}.",
            )


def _is_compatible(stored: torch.dtype | None, expected: torch.dtype) -> bool:
    """Whether the types are equal or both floating-point; the latter may be stored in another precision."""
    if stored is None:
        return False
    return stored == expected or (stored.is_floating_point and expected.is_floating_point)
