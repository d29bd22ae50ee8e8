"""Small tensors on their way from a loader worker: in its pipe, since shared memory takes 0.5 ms for each tensor."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from zoo_core.dataset import Batch

_SMALL = 2**16  # bytes
_NUMPY_TYPES = (
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
    *(torch.float16, torch.float32, torch.float64),
)


def as_arrays(batch: Batch) -> Batch:
    """The batch with its small tensors as arrays, which are sent as they are, and not in shared memory."""
    sent = copy.copy(batch)
    # Shared memory would hold the values without the sign or the conjugation that a view of complex numbers may have.
    tensors = {name: value for name, value in batch.items() if type(value) is torch.Tensor}
    sent.update({name: value.resolve_neg().resolve_conj() for name, value in tensors.items() if _is_lazy(value)})
    sent.update({name: _Sent(value.numpy()) for name, value in sent.items() if _is_small(value)})  # type: ignore[misc]
    return sent


def from_arrays(batch: Batch) -> Batch:
    """The batch whose small tensors were sent as arrays."""
    # A copy, in memory that is aligned as torch's: some operations round differently if it is not.
    tensors = {name: torch.from_numpy(value.array).clone() for name, value in batch.items() if isinstance(value, _Sent)}
    batch.update(tensors)
    return batch


@dataclass(frozen=True)
class _Sent:
    array: NDArray[Any]


def _is_lazy(value: torch.Tensor) -> bool:
    return value.layout is torch.strided and (value.is_neg() or value.is_conj())


def _is_small(value: object) -> bool:
    if type(value) is not torch.Tensor or value.device.type != "cpu" or value.layout is not torch.strided:
        return False
    known = not value.requires_grad and value.dtype in _NUMPY_TYPES
    return known and value.is_contiguous() and value.numel() * value.element_size() <= _SMALL
