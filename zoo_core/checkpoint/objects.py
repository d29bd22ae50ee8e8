"""Objects with a state in the attributes of a trainer: modules, optimizers, and schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

_WITHOUT_STATE = (bool, int, float, str, type(None), Tensor)


@runtime_checkable
class Stateful(Protocol):
    """PyTorch's protocol of modules, optimizers, schedulers and scalers."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


def objects_in(path: str, value: Any, inside: frozenset[int] = frozenset()) -> Iterator[tuple[str, Any]]:
    """Every object with a state in ``value``, which has this path, with a path such as ``optimizers[0]``."""
    if isinstance(value, _WITHOUT_STATE) or id(value) in inside:  # a list may contain itself
        return
    if isinstance(value, Stateful):
        yield path, value
    elif isinstance(value, (list, tuple, dict)):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from objects_in(f"{path}[{key!r}]", one, inside | {id(value)})


def map_objects(value: Any, function: Callable[[Any], Any], inside: frozenset[int] = frozenset()) -> Any:
    """``value`` with ``function`` of each object in place of it; ``value`` itself if there is none."""
    if isinstance(value, Stateful) and not isinstance(value, _WITHOUT_STATE):
        return function(value)
    if id(value) in inside or next(objects_in("", value), None) is None:
        return value
    inside |= {id(value)}
    if isinstance(value, dict):
        return {key: map_objects(one, function, inside) for key, one in value.items()}
    items = [map_objects(one, function, inside) for one in value]
    if isinstance(value, list):
        return items
    return type(value)._make(items) if hasattr(value, "_make") else tuple(items)
