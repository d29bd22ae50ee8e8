"""The values of tensors of any type: whether they are finite, and whether they are equal bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_CHUNK = 2**20  # elements checked at once, so that a large tensor needs little extra memory


def all_finite(tensor: Tensor) -> Tensor:
    """Whether all values are finite, as a tensor of shape (), so that the device need not be waited for."""
    parts = [chunk.isfinite().all() for chunk in _chunks(tensor)]
    return torch.stack(parts).all() if parts else torch.tensor(True, device=tensor.device)


def count_not_finite(tensor: Tensor) -> int:
    """The number of NaN and infinite values."""
    return sum(int(chunk.numel() - chunk.isfinite().sum()) for chunk in _chunks(tensor))


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same type, shape and bits; a NaN equals one with the same bits."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    resolved = [tensor.detach().cpu().resolve_conj().resolve_neg() for tensor in (one, other)]
    left, right = (tensor.contiguous().flatten().view(torch.uint8) for tensor in resolved)
    return torch.equal(left, right)


def _chunks(tensor: Tensor) -> Iterator[Tensor]:
    """The values in parts, those of 8-bit types as float32, for which more operations are implemented."""
    if tensor.is_floating_point() or tensor.is_complex():
        flat = tensor.detach().flatten()
        for start in range(0, len(flat), _CHUNK):
            chunk = flat[start : start + _CHUNK]
            yield chunk.float() if chunk.itemsize == 1 else chunk
