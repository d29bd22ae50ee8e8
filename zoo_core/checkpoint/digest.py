"""What has changed in the state of a model and its trainer, found without a copy of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

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
        sums: dict[torch.device, dict[_Path, Tensor]] = {}
        for name, value in state.values().items():
            for path, leaf in _leaves(value, (name,)):
                if isinstance(leaf, Tensor):
                    tensor = local(leaf.detach())
                    sums.setdefault(tensor.device, {})[path] = _checksum(tensor)
                    leaf = f"a {str(tensor.dtype).removeprefix('torch.')} tensor {tuple(tensor.shape)}"
                self._plain[path] = leaf
        self._sums = {device: (list(found), torch.stack([*found.values()])) for device, found in sums.items()}

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


def _leaves(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """The tensors in nested mappings, lists and tuples, and the other values as text, with their places."""
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, (Mapping, list, tuple)):
        yield path, f"{len(value)} values"
        for key, one in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(one, (*path, str(key)))
    else:
        yield path, in_yaml(value)


def _describe(path: _Path) -> str:
    name, *keys = path
    inner = ".".join(keys)
    if name == "model":
        return f"the model's {inner}"
    return f"self.{name} ({inner})" if inner else f"self.{name}"


def _checksum(tensor: Tensor) -> Tensor:
    """A 64-bit checksum of the bits of the elements and of their order, on the tensor's device."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    bits = tensor.contiguous().view(-1).view(_INTEGERS[tensor.element_size()])
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for start in range(0, len(bits), _BLOCK):
        block = bits[start : start + _BLOCK]
        total = 3 * total + (block * _factors(tensor.device)[: len(block)]).sum()
    return total


@cache
def _factors(device: torch.device) -> Tensor:
    """Odd numbers (_BLOCK,), int32, without a pattern: a change of one element always changes its product."""
    return torch.arange(_BLOCK, dtype=torch.int32, device=device) * -1640531535 | 1
