"""Places where objects are held, and whether they hold the same objects later."""

from __future__ import annotations

from collections.abc import Iterator
from operator import getitem, is_
from typing import Any

ABSENT = object()
"""What a place holds that is gone."""
_GONE = (LookupError, AttributeError, ValueError)  # of a container, of a slot, of a variable of a closure


class Places:
    """Places of containers with what they held."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        # Lists of their own, since functions written in C compare them all at once.
        self._containers: list[Any] = []
        self._keys: list[Any] = []
        self._held: list[Any] = []

    def add(self, path: str, container: Any, key: Any) -> None:
        self._held.append(container[key])
        self._paths.append(path)
        self._keys.append(key)
        own = getattr(container.holder, "__dict__", {}) if isinstance(container, Attributes) else {}
        self._containers.append(own if key in own else container)  # a dictionary is faster

    def same(self) -> bool:
        """Whether all places hold the same objects."""
        try:
            return all(map(is_, map(getitem, self._containers, self._keys), self._held))
        except _GONE:
            return False

    def values(self) -> Iterator[tuple[str, Any, Any]]:
        """The path of each place, what it holds now, and what it held."""
        for path, container, key, held in zip(self._paths, self._containers, self._keys, self._held, strict=True):
            try:
                yield path, container[key], held
            except _GONE:
                yield path, ABSENT, held


class Attributes:
    """The attributes of an object as items. One that is not its own is that of its class, without calling it."""

    def __init__(self, holder: object) -> None:
        self.holder = holder

    def __getitem__(self, name: str) -> Any:
        own = getattr(self.holder, "__dict__", {})
        if name in own:
            return own[name]
        kinds = type(self.holder).__mro__
        found = next((vars(kind)[name] for kind in kinds if name in vars(kind)), ABSENT)
        if hasattr(found, "__get__") and type(found).__name__ in ("member_descriptor", "getset_descriptor"):
            return getattr(self.holder, name)  # of a slot
        return found
