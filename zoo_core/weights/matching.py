"""What a file and a model have in common: names, shapes, types, and tensors that have several names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor

from zoo_core.errors import BadFile
from zoo_core.model import Model
from zoo_core.weights.header import Header

DTYPES = {  # safetensors' names of the types that PyTorch has
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
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
    """What ``zoo.load(…, strict=False)`` did not take from the file, or did not find in it; by name, with shapes."""

    missing: Mapping[str, Shape] = field(default_factory=dict)
    """The model has it, the file does not: it keeps its initial values."""
    surplus: Mapping[str, Shape] = field(default_factory=dict)
    """The file has it, the model does not."""
    reshaped: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    """Its shape in the file, and in the model, where it keeps its initial values."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus or self.reshaped)


def compare(
    header: Header, wanted: Mapping[str, tuple[torch.dtype, Shape]], model: str, refuse: bool, changed: bool
) -> IncompatibleKeys:
    """What the file and the model do not have in common; with ``refuse`` the first of it is an error."""
    path, held = header.path, header.tensors
    hint = f"The file says that it is {header.says()}."
    if changed and refuse:
        hint += " To leave out what no longer fits: strict=False."
    missing = {name: shape for name, (_, shape) in wanted.items() if name not in held}
    surplus = {name: shape for name, (_, shape) in held.items() if name not in wanted}
    reshaped = {name: (held[name][1], shape) for name, (_, shape) in wanted.items() if name in held}
    reshaped = {name: shapes for name, shapes in reshaped.items() if shapes[0] != shapes[1]}
    if refuse and reshaped:
        name, (there, here) = next(iter(reshaped.items()))
        raise BadFile(f"{path}: '{name}' has shape {there}, but {model} has {here}.", hint)
    if refuse and missing:
        name, shape = next(iter(missing.items()))
        raise BadFile(f"{path} lacks '{name}' {shape}, which {model} has.", hint)
    if refuse and surplus:
        name, shape = next(iter(surplus.items()))
        raise BadFile(f"{path} has '{name}' {shape}, which {model} does not have.", hint)
    for name, (dtype, _) in wanted.items():
        if name in held and name not in reshaped and not _fits(DTYPES.get(held[name][0]), dtype):
            kind = str(dtype).removeprefix("torch.")
            raise BadFile(f"{path}: '{name}' holds {held[name][0]}, but {model} has {kind}.", hint)
    return IncompatibleKeys(missing, surplus, reshaped)


def tied(model: Model) -> list[list[str]]:
    """The names of each parameter and buffer that has several."""
    names: dict[int, list[str]] = {}
    for name, tensor in chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    ):
        names.setdefault(id(tensor), []).append(name)
    return [several for several in names.values() if len(several) > 1]


def tie(model: Model, names: list[str], tensors: Mapping[str, Tensor], header: Header) -> None:
    """Let all ``names`` be one tensor again, that of the file: its tensors are each by themselves."""
    read = [name for name in names if name in tensors] or names[:1]
    for name in read[1:]:
        if not torch.equal(tensors[read[0]], tensors[name]):
            raise BadFile(
                f"{header.path}: '{read[0]}' and '{name}' differ, but {type(model).__name__} has them as one.",
                f"The file says that it is {header.says()}.",
            )
    owner, _, attribute = read[0].rpartition(".")
    one = getattr(model.get_submodule(owner), attribute)
    for name in names:
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, one)


def _fits(held: torch.dtype | None, wanted: torch.dtype) -> bool:
    """Floating-point numbers may be stored in half; anything else is stored as it is."""
    if held is None:
        return False
    return held == wanted or (held.is_floating_point and wanted.is_floating_point)
