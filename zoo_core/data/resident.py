"""Examples that live on the device: copied there once, and gathered there, so that no step waits for the host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils.data import Subset

from zoo_core.data.prefetch import pins
from zoo_core.dataset import Batch, Examples, InMemory, Uint8Images

FRACTION = 0.25
"""Of the free memory of the device, which examples may take at most."""
_UNKNOWN = 2**28  # bytes that they may take on a device that does not say how much memory is free


@dataclass(frozen=True)
class Resident:
    """Examples on the device."""

    examples: InMemory
    """Their tensors, on the device."""
    device: torch.device
    chosen: Tensor | None = None
    """Of a subset, the index of each of its examples; on the host."""

    def accepts(self, order: Tensor) -> bool:
        """Whether all indices exist. Otherwise the host has to load the examples, and to report the first error."""
        length = len(self.examples) if self.chosen is None else len(self.chosen)
        if order.is_floating_point() or order.dtype == torch.bool or order.dim() != 1:
            return False
        return not len(order) or (int(order.min()) >= 0 and int(order.max()) < length)

    def batches(self, order: Tensor, slices: Iterable[slice]) -> Iterator[Batch]:
        """The examples of these slices of ``order``, each as a batch."""
        indices = order if self.chosen is None else self.chosen[order]
        on_device = (indices.pin_memory() if pins(self.device) else indices).to(self.device, non_blocking=True)
        return (self.examples.__getitems__(on_device[part]) for part in slices)


@dataclass
class DeviceCopies:
    """What a run keeps of its examples on ``device``. A tensor of several splits is copied once.

    Examples in memory are copied if all of the copies take at most a quarter of the memory that is free when the run
    starts, and of what is free when they are first needed.
    """

    device: torch.device
    room: int | None = None
    """Bytes that all copies may take; by default a quarter of the memory that is free."""
    _copies: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = field(default_factory=dict)
    """The original, which is kept so that its memory is not used for other data, and the copy."""

    def __post_init__(self) -> None:
        self.left = int(FRACTION * free_memory(self.device)) if self.room is None else self.room

    def find(self, examples: Examples) -> Resident | None:
        """The examples on the device, or None if they are not in memory, or too large."""
        held, chosen = _held(examples)
        if held is None:
            return None
        stored = {name: _tensor(tensor) for name, tensor in held._tensors.items()}
        new = {_key(tensor): tensor for tensor in stored.values() if _key(tensor) not in self._copies}
        size = sum(tensor.numel() * tensor.element_size() for tensor in new.values())
        if size and (size > self.left or size > FRACTION * free_memory(self.device)):
            return None
        self.left -= size
        self._copies |= {key: (tensor, tensor.to(self.device, copy=True)) for key, tensor in new.items()}
        copies = {name: self._copies[_key(tensor)][1] for name, tensor in stored.items()}
        given = {name: _as_stored(copy, held._tensors[name]) for name, copy in copies.items()}
        return Resident(InMemory(**given), self.device, chosen)


def copies_for(device: torch.device) -> DeviceCopies | None:
    """Where a run keeps examples on its device; None on the CPU, where they are in memory already."""
    return None if device.type == "cpu" else DeviceCopies(device)


def free_memory(device: torch.device) -> int:
    """Bytes of memory that are free on the device."""
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    module = torch.get_device_module(device)
    if hasattr(module, "mem_get_info"):  # cuda, xpu
        return int(module.mem_get_info(device)[0])
    if hasattr(module, "recommended_max_memory"):  # mps
        return int(module.recommended_max_memory()) - int(module.driver_allocated_memory())
    return int(_UNKNOWN / FRACTION)


def _held(examples: Any) -> tuple[InMemory | None, Tensor | None]:
    """The tensors of examples, and the indices that a subset of them has chosen."""
    if type(examples) is InMemory:
        tensors = [_tensor(tensor) for tensor in examples._tensors.values()]
        plain = all(tensor.layout is torch.strided and not tensor.requires_grad for tensor in tensors)
        return (examples if plain else None), None
    if type(examples) is not Subset:
        return None, None
    held, inner = _held(examples.dataset)
    chosen = torch.as_tensor(list(examples.indices))
    known = held is not None and Resident(held, chosen.device, inner).accepts(chosen)
    return (held, chosen if inner is None else inner[chosen]) if known else (None, None)


def _tensor(stored: Tensor | Uint8Images) -> Tensor:
    return stored.pixels if isinstance(stored, Uint8Images) else stored


def _as_stored(copy: Tensor, original: Tensor | Uint8Images) -> Tensor | Uint8Images:
    return Uint8Images(copy) if isinstance(original, Uint8Images) else copy


def _key(tensor: Tensor) -> tuple[Any, ...]:
    """Equal for tensors that are the same elements of the same memory."""
    return tensor.data_ptr(), tensor.device, tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor._version
