"""The value that an object has at one moment, which can be put back into the same object."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
"""Kinds of generators of random numbers."""


@contextmanager
def kept(objects: Iterable[object]) -> Iterator[None]:
    """Context after which ``objects`` have the values that they had before."""
    put_back = [restore for one in objects if (restore := keep(one)) is not None]
    try:
        yield
    finally:
        for restore in put_back:
            restore()


def keep(one: Any) -> Callable[[], None] | None:
    """What puts back the numbers of a tensor or an array, the state of a generator, or what a container holds.

    None for anything else, and for what cannot be put back.
    """
    if isinstance(one, Tensor):
        if one.is_inference():  # which cannot be changed outside of inference mode, and counts no versions
            return None
        return partial(_restore_tensor, one, one._version, one.detach().clone())
    if isinstance(one, np.ndarray):
        changeable = one.flags.writeable and one.dtype.kind != "O"
        return partial(_restore_array, one, one.copy()) if changeable else None
    if isinstance(one, GENERATORS):
        return _keep_generator(one)
    if isinstance(one, dict):
        return partial(_restore_mapping, one, dict(one))
    if isinstance(one, (list, deque)):
        return partial(_restore_sequence, one, list(one))
    return partial(_restore_set, one, set(one)) if isinstance(one, set) else None


def _keep_generator(generator: Any) -> Callable[[], None]:
    if isinstance(generator, np.random.Generator):
        return partial(setattr, generator.bit_generator, "state", generator.bit_generator.state)
    if isinstance(generator, random.Random):
        return partial(generator.setstate, generator.getstate())
    return partial(generator.set_state, generator.get_state())


def _restore_tensor(tensor: Tensor, version: int, copy: Tensor) -> None:
    # A change through NumPy, or through .data, is not counted as a version.
    comparable = tensor.layout == torch.strided and tensor.device.type != "meta"
    if tensor._version != version or (comparable and not torch.equal(tensor.detach(), copy)):
        tensor.detach().copy_(copy)


def _restore_array(array: np.ndarray[Any, Any], copy: np.ndarray[Any, Any]) -> None:
    array[...] = copy


def _restore_mapping(one: dict[Any, Any], copy: dict[Any, Any]) -> None:
    if not _same([*one, *one.values()], [*copy, *copy.values()]):
        one.clear()
        one.update(copy)


def _restore_sequence(one: list[Any] | deque[Any], copy: list[Any]) -> None:
    if not _same(one, copy):
        one.clear()
        one.extend(copy)


def _restore_set(one: set[Any], copy: set[Any]) -> None:
    if one != copy:
        one.clear()
        one.update(copy)


def _same(these: Sequence[Any], those: Sequence[Any]) -> bool:
    """Whether they are the same objects, in the same order."""
    return len(these) == len(those) and all(one is other for one, other in zip(these, those, strict=True))
