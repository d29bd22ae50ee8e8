"""What has changed in the state of a model and its trainer, found without a copy of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from zoo_core.checkpoint.serialize import ObjectState, has_usual_strides
from zoo_core.checkpoint.state import TrainerState
from zoo_core.engine.fsdp import local
from zoo_core.errors import in_yaml, one_line

_Path = tuple[str, ...]
_BLOCK = 2**20  # elements of a tensor that are multiplied at once
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int32}


class StateDigest:
    """The state at one moment: plain values as they are, and a checksum of every tensor, which stays on its device.

    A copy of the tensors would need their memory once more.
    """

    def __init__(self, state: TrainerState) -> None:
        self._state, self._parameters = state, state.parameters()
        self._plain: dict[_Path, str] = {}
        tensors: dict[torch.device, dict[_Path, Tensor]] = {}
        for name, value in state.values().items():
            for path, leaf in _leaves(value, (name,)):
                if isinstance(leaf, Tensor) and leaf.layout == torch.strided and not leaf.is_quantized:
                    tensor = local(leaf.detach())
                    tensors.setdefault(tensor.device, {})[path] = tensor
                    leaf = (
                        f"a {str(tensor.dtype).removeprefix('torch.')} tensor {tuple(tensor.shape)}{_strides(tensor)}"
                    )
                self._plain[path] = leaf
        self._sums = {device: (list(found), _checksums([*found.values()])) for device, found in tensors.items()}

    def change(self) -> str:
        """A part of the state that is not what it was, such as ``the model's layers.0.weight``; "" if there is none."""
        now = StateDigest(self._state)
        for path, parameter in self._parameters.items():
            if now._parameters.get(path) is not parameter:
                return f"{_describe(path)}, which is another tensor than the optimizer has"
        for path in [*self._plain, *now._plain]:
            before, after = self._plain.get(path), now._plain.get(path)
            if before != after:
                was, became = (one_line(text or "nothing", 60) for text in (before, after))
                return f"{_describe(path)} from {was} to {became}"
        for device, (paths, sums) in now._sums.items():
            differs = sums != self._sums[device][1]
            if differs.any():  # the only time that the device is waited for
                return _describe(paths[int(differs.int().argmax())])
        return ""


def checksums_by_name(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """A checksum of each tensor, or of its shard in this process; the same on every device."""
    by_device: dict[torch.device, dict[str, Tensor]] = {}
    for name, one in tensors.items():
        tensor = local(one.detach())
        by_device.setdefault(tensor.device, {})[name] = tensor
    sums: dict[str, int] = {}
    for named in by_device.values():
        sums |= zip(named, _checksums([*named.values()]).tolist(), strict=True)
    return sums


def _leaves(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """The tensors in nested mappings, lists and tuples, and the other values as text, with their places."""
    if isinstance(value, ObjectState):
        yield from _leaves(value.state, path)
    elif isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, (Mapping, list, tuple)):
        yield path, f"{len(value)} values"
        for key, one in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(one, (*path, str(key)))
    else:
        yield path, in_yaml(value)


def _strides(tensor: Tensor) -> str:
    """Strides other than the usual ones: the last bits of a convolution depend on them."""
    return "" if not tensor.numel() or has_usual_strides(tensor) else f" of strides {tensor.stride()}"


def _describe(path: _Path) -> str:
    name, *keys = path
    inner = ".".join(keys)
    if name == "model":
        return f"the model's {inner}" if inner else "the model"
    return f"self.{name} ({inner})" if inner else f"self.{name}"


def _checksums(tensors: list[Tensor]) -> Tensor:
    """A 64-bit checksum of the bits of the elements of each tensor and of their order, on the tensors' device."""
    bits = list(map(_bits, tensors))
    # On an accelerator an operation takes as long as a small tensor. On a CPU, putting them together takes longer.
    return torch.stack([*map(_sum, bits)]) if bits[0].device.type == "cpu" else _sums_together(bits)


def _sums_together(tensors: list[Tensor]) -> Tensor:
    """The checksum of each of ``tensors``, each (N,); those with few elements are put together."""
    sums: list[Tensor] = []
    together: list[Tensor] = []
    count = 0
    for bits in [*tensors, None]:
        if together and (bits is None or count + len(bits) > _BLOCK):
            sums.append(_segment_sums(together))
            together, count = [], 0
        if bits is not None and len(bits) > _BLOCK:
            sums.append(_sum(bits).unsqueeze(0))
        elif bits is not None:
            together.append(bits)
            count += len(bits)
    return torch.cat(sums)


def _bits(tensor: Tensor) -> Tensor:
    """The bits of a tensor as integers (N,)."""
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.contiguous().view(-1).view(_INTEGERS[tensor.element_size()])


def _segment_sums(parts: list[Tensor]) -> Tensor:
    """The checksum of each part, (len(parts),); all of them together have at most _BLOCK elements."""
    bits = torch.cat([one.int() for one in parts])  # (N,)
    products = bits.long() * _factors(bits.device)[: len(bits)]
    prefix = torch.cat([products.new_zeros(1), products.cumsum(0)])  # (N + 1,)
    ends = torch.tensor([0, *accumulate(map(len, parts))], device=bits.device)
    return prefix[ends].diff()


def _sum(bits: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.int64, device=bits.device)
    for start in range(0, len(bits), _BLOCK):
        block = bits[start : start + _BLOCK]
        total = 3 * total + (block.long() * _factors(bits.device)[: len(block)]).sum()
    return total


@cache
def _factors(device: torch.device) -> Tensor:
    """Odd numbers (_BLOCK,), int64, without a pattern: a change of one element always changes its product.

    They have 32 bits. Products of 64 bits also differ for elements whose lower bits are zero, such as ones.
    """
    return (torch.arange(_BLOCK, dtype=torch.int32, device=device) * -1640531535 | 1).long()
