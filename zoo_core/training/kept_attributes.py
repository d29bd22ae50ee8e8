"""The attributes of a module at one moment, with what is inside them, which can be put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo_core.trainer import Trainer
from zoo_core.training.kept_object import keep_object
from zoo_core.training.kept_value import keep
from zoo_core.training.reachable import package_of, reachable

_OWN = ("_parameters", "_buffers", "_non_persistent_buffers_set")  # of nn.Module, which are kept otherwise


@dataclass(frozen=True)
class Limits:
    """What is inside the attributes of a module, but not put back with them."""

    left_alone: frozenset[int]
    """The ids of what others hold too."""
    packages: frozenset[str]
    """Those that define the modules; objects of others, such as a logger, are not opened."""

    def opens(self, one: object) -> bool:
        """Whether the attributes of an object belong to those of a module."""
        return not isinstance(one, (nn.Module, Trainer)) and package_of(one) in {*self.packages, "types"}


class KeptAttributes:
    """The attributes of a module, its hooks and its submodules.

    They are put back as they were: the same objects, with the elements that lists, mappings and sets had, the values
    that tensors and arrays had, and the attributes of objects of the author's own. Tensors that were computed with
    gradients are results, and are not copied.
    """

    def __init__(self, module: nn.Module, limits: Limits) -> None:
        self._module = module
        self._attributes = dict(vars(module))
        values = [value for name, value in self._attributes.items() if name not in _OWN]
        inside = reachable(values, limits.opens, limits.left_alone)
        found = {id(one): one for one in (*values, *inside)}.values()
        self._put_back = [restore for one in found if (restore := _keep(one, limits)) is not None]

    def put_back(self) -> None:
        """Put back what has changed."""
        now = vars(self._module)
        for name in now.keys() - self._attributes.keys():
            del now[name]
        now.update(self._attributes)
        for restore in self._put_back:
            restore()


def _keep(one: Any, limits: Limits) -> Callable[[], None] | None:
    if _has_value(one):
        return keep(one)
    return keep_object(one) if limits.opens(one) and id(one) not in limits.left_alone else None


def _has_value(one: Any) -> bool:
    """Whether it has a value that is kept with the attribute; that of generators is kept wherever they are."""
    if isinstance(one, Tensor):
        return one.layout == torch.strided and one.is_leaf and one.device.type != "meta"
    return isinstance(one, (np.ndarray, dict, list, deque, set))
