"""The attributes of a module at one moment, which can be put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OWN = ("_parameters", "_buffers", "_non_persistent_buffers_set")  # of nn.Module, which are kept otherwise


class KeptAttributes:
    """The attributes of a module, its hooks and its submodules.

    They are put back as they were: the same objects, with the elements that lists, mappings and sets had, and the
    values that tensors and arrays had. Tensors that were computed with gradients are results, and are not copied.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._attributes = dict(vars(module))
        changeable = {name: value for name, value in self._attributes.items() if name not in _OWN}.values()
        self._elements = [(one, _elements(one)) for one in changeable if _elements(one) is not None]
        self._values = [(one, _copy(one)) for one in changeable if _has_values(one)]

    def put_back(self) -> None:
        """Put back what has changed."""
        now = vars(self._module)
        for name in now.keys() - self._attributes.keys():
            del now[name]
        now.update(self._attributes)
        for one, elements in self._elements:
            if not _same(_elements(one), elements):
                one.clear()
                one.extend(elements) if isinstance(one, (list, deque)) else one.update(elements)
        for one, copy in self._values:
            if isinstance(one, np.ndarray):
                one[...] = copy
            elif not torch.equal(one.detach(), copy):
                one.detach().copy_(copy)


def _elements(one: Any) -> Any:
    """The elements of a list, a mapping or a set; None for anything else."""
    if isinstance(one, dict):
        return dict(one)
    return list(one) if isinstance(one, (list, deque, set)) else None


def _same(first: Any, second: Any) -> bool:
    """Whether the elements are the same objects, in the same order."""
    if isinstance(first, Mapping):
        return _same([*first, *first.values()], [*second, *second.values()])
    return len(first) == len(second) and all(one is other for one, other in zip(first, second, strict=True))


def _has_values(one: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool(one.flags.writeable) and one.dtype.kind != "O"
    return isinstance(one, Tensor) and one.layout == torch.strided and one.is_leaf and one.device.type != "meta"


def _copy(one: Any) -> Any:
    return one.copy() if isinstance(one, np.ndarray) else one.detach().clone()
