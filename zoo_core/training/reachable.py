"""Every object that a trainer or a module holds, however deep it is."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import nn

from zoo_core.engine.host_state import slots_of

_LIBRARIES = ("torch", "accelerate", "numpy", "builtins", "zoo_core")


def find_modules(holders: Iterable[object]) -> Iterator[nn.Module]:
    """Every module in ``holders``, once, with the modules inside it."""
    return (one for one in reachable(holders) if isinstance(one, nn.Module))


def reachable(
    holders: Iterable[object], opens: Callable[[object], bool] = lambda one: True, without: Iterable[int] = ()
) -> Iterator[object]:
    """Every object in ``holders``, once, with what is inside it; libraries' objects are not opened, but for modules.

    Modules and objects are opened if ``opens`` says so. What has an id in ``without`` is left out, with what is inside
    it only.
    """
    seen = set(without)
    waiting = list(holders)
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, nn.Module):
            waiting += [*one.children(), *attributes_of(one).values()] if opens(one) else []
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, (list, tuple, set, frozenset, deque)):
            waiting += one
        elif isinstance(one, partial):
            waiting += [one.func, *one.args, *one.keywords.values()]
        elif isinstance(one, (MethodType, BuiltinMethodType)):
            waiting += [] if isinstance(one.__self__, ModuleType) else [one.__self__]
        elif isinstance(one, FunctionType):
            waiting += _closure(one)
        elif opens(one):
            waiting += attributes_of(one).values()


def attributes_of(one: object) -> dict[str, Any]:
    """What an object of a plugin holds; those of libraries hold what they were given, and much else."""
    if is_of_library(one) or isinstance(one, type):
        return {}
    slots = {name: getattr(one, name) for name in slots_of(one) if hasattr(one, name)}
    return {**getattr(one, "__dict__", {}), **slots}


def shared_by_class(objects: Iterable[object]) -> Iterator[object]:
    """The attributes of the classes of plugins' objects, and the variables of the files that define the classes."""
    types = {type(one) for one in objects}
    classes = {base for one in types for base in one.__mro__ if base.__module__.partition(".")[0] not in _LIBRARIES}
    files = {name: vars(module) for one in classes if (module := sys.modules.get(name := one.__module__))}
    holders = [value for held in (*map(vars, classes), *files.values()) for value in held.values()]
    return reachable(holders, opens=lambda one: False)


def package_of(one: object) -> str:
    """The name of the package that defines the type of ``one``."""
    return type(one).__module__.partition(".")[0]


def is_of_library(one: object) -> bool:
    """Whether its type is one of PyTorch, of another library below zoo, or of zoo itself."""
    return package_of(one) in _LIBRARIES


def _closure(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it is empty
            yield cell.cell_contents
