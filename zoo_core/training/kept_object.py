"""The attributes of an object of a plugin at one moment, which can be put back into the same object."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from zoo_core.training.reachable import attributes_of


def keep_object(one: Any) -> Callable[[], None] | None:
    """What puts back the attributes of an object; None for what has none, or belongs to a library."""
    attributes = _attributes(one)
    return partial(_restore_attributes, one, attributes) if attributes else None


def _attributes(one: object) -> dict[str, Any]:
    """Those of a module of a library include numbers that a plugin may change, such as a probability."""
    return dict(vars(one)) if isinstance(one, nn.Module) else attributes_of(one)


def _restore_attributes(one: object, attributes: dict[str, Any]) -> None:
    now = _attributes(one)
    for name in now.keys() - attributes.keys():
        object.__delattr__(one, name)
    for name, value in attributes.items():
        if name not in now or now[name] is not value:
            object.__setattr__(one, name, value)  # also of a frozen dataclass
