"""Finds what a dataset keeps between examples, for the message of a check that has noticed it."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

_MOST = 2000  # objects to look at
_DEEPEST = 8
_ITERATORS = (itertools.count, itertools.cycle)


def what_changes(examples: object, load: Callable[[], object]) -> list[str]:
    """The attributes that ``load`` changes: generators, iterators, and numbers that are counted up."""
    before = dict(_states(examples))
    load()
    return [name for name, state in _states(examples) if name in before and before[name] != state]


def _states(examples: object) -> Iterator[tuple[str, str]]:
    """Each generator, iterator and number that can be reached from ``examples``, with its state as text."""
    waiting: list[tuple[str, object, int]] = [("", examples, 0)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        path, one, depth = waiting.pop(0)
        if id(one) in seen and not isinstance(one, int | float):
            continue
        seen.add(id(one))
        state = _state(one)
        if state is not None:
            yield f"{path} ({type(one).__module__.partition('.')[0]}.{type(one).__name__})", state
        elif depth < _DEEPEST:
            waiting += [(f"{path}{step}", inner, depth + 1) for step, inner in _inside(one)]


def _state(one: object) -> str | None:
    if isinstance(one, torch.Generator):
        return str(hash(one.get_state().numpy().tobytes()))
    if isinstance(one, np.random.Generator | np.random.RandomState):
        bits = one.bit_generator if isinstance(one, np.random.Generator) else one
        return repr(bits.state if isinstance(bits, np.random.BitGenerator) else bits.get_state(legacy=True))
    if isinstance(one, random.Random):
        return str(hash(one.getstate()))
    if isinstance(one, (int, float, *_ITERATORS)):
        return repr(one)
    return None


def _inside(one: object) -> Iterator[tuple[str, object]]:
    """What an object holds, each with how it is reached."""
    if isinstance(one, torch.Tensor | np.ndarray | str | bytes | type):
        return
    if isinstance(one, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in itertools.islice(one.items(), 50))
    elif isinstance(one, Sequence):
        yield from ((f"[{number}]", value) for number, value in enumerate(one[:50]))
    elif isinstance(one, functools.partial):
        yield from ((".func", one.func), (".args", one.args))
    elif closure := getattr(one, "__closure__", None):
        names = getattr(one, "__code__").co_freevars  # noqa: B009  # only functions have it
        yield from ((f" {name}", cell.cell_contents) for name, cell in zip(names, closure, strict=True))
    elif isinstance(owner := getattr(one, "__self__", None), object) and owner is not None:
        yield ".__self__", owner
    elif isinstance(one, nn.Module):
        yield from ((f".{name}", module) for name, module in one.named_children())
        yield from _attributes(one)
    else:
        yield from _attributes(one)


def _attributes(one: object) -> Iterator[tuple[str, object]]:
    yield from ((f".{name}", value) for name, value in getattr(one, "__dict__", {}).items())
