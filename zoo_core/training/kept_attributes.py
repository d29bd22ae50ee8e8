"""The attributes of a module at one moment, which can be put back."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo_core.training.kept_value import keep

_OWN = ("_parameters", "_buffers", "_non_persistent_buffers_set")  # of nn.Module, which are kept otherwise


class KeptAttributes:
    """The attributes of a module, its hooks and its submodules.

    They are put back as they were: the same objects, with the elements that lists, mappings and sets had, and the
    values that tensors and arrays had. Tensors that were computed with gradients are results, and are not copied.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._attributes = dict(vars(module))
        changeable = [value for name, value in self._attributes.items() if name not in _OWN and _has_value(value)]
        self._put_back = [restore for value in changeable if (restore := keep(value)) is not None]

    def put_back(self) -> None:
        """Put back what has changed."""
        now = vars(self._module)
        for name in now.keys() - self._attributes.keys():
            del now[name]
        now.update(self._attributes)
        for restore in self._put_back:
            restore()


def _has_value(one: Any) -> bool:
    """Whether it has a value that is kept with the attribute; that of generators is kept wherever they are."""
    if isinstance(one, Tensor):
        return one.layout == torch.strided and one.is_leaf and one.device.type != "meta"
    return isinstance(one, (np.ndarray, dict, list, deque, set))
