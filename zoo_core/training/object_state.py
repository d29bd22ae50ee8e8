"""Puts back what plain Python code of a plugin can have changed in the objects of a trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from zoo_core.training.kept_object import keep_object
from zoo_core.training.kept_value import keep
from zoo_core.training.reachable import reachable


@contextmanager
def objects_kept(holders: Iterable[object]) -> Iterator[None]:
    """Context after which the attributes of every object of a plugin, and what its containers hold, are what they were.

    That includes caches and attributes with a leading underscore, which are no state of a run. The parameters and
    buffers of modules, and the state of optimizers, are not copied.
    """
    found = list(reachable(holders))
    of_modules = {
        id(tensor)
        for one in found
        if isinstance(one, nn.Module)
        for tensor in (*one.parameters(recurse=False), *one.buffers(recurse=False))
    }
    put_back = [_keep(one) for one in found if id(one) not in of_modules]
    try:
        yield
    finally:
        for restore in put_back:
            if restore is not None:
                restore()


def _keep(one: Any) -> Callable[[], None] | None:
    """What puts ``one`` back; None for what cannot change, or belongs to a library."""
    return keep(one) or keep_object(one)
