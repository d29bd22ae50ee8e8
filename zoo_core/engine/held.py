"""What the attributes of a trainer hold, also in lists, tuples and dicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch.optim import Optimizer


def held(values: Iterable[object]) -> Iterator[object]:
    """``values``, and in place of lists, tuples and dicts among them what these hold at any depth; each object once."""
    seen: set[int] = set()
    waiting = list(values)[::-1]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, (list, tuple)):
            waiting += one[::-1]
        elif isinstance(one, dict):
            waiting += list(one.values())[::-1]
        else:
            yield one


def held_optimizers(values: Iterable[object]) -> list[Optimizer]:
    """The optimizers in ``values``, as :func:`held` finds them, without Accelerate's wrapper."""
    return [getattr(one, "optimizer", one) for one in held(values) if isinstance(one, Optimizer)]
