"""Finds the entries of a name in a list of them, in a time that does not grow with the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo_core.registry.entry import Entry


class Index:
    """The entries of a list by name and by full name. It follows the list, which is only appended to and cut off."""

    def __init__(self) -> None:
        self._indexed: list[Entry] = []
        self._short: dict[str, list[Entry]] = {}
        self._full: dict[str, list[Entry]] = {}

    def with_full_name(self, entries: Sequence[Entry], name: str) -> list[Entry]:
        """Those called ``name`` with their plugin, in the order of the list."""
        self._follow(entries)
        return self._full.get(name, [])

    def named(self, entries: Sequence[Entry], name: str) -> list[Entry]:
        """Those whose full name is ``name``, or else those whose name it is, in a list of its own."""
        return list(self.with_full_name(entries, name) or self._short.get(name, []))

    def _follow(self, entries: Sequence[Entry]) -> None:
        """Take up what was appended since the last call; begin again if the list was changed in another way."""
        known = len(self._indexed)
        if known > len(entries) or (known and self._indexed[-1] is not entries[known - 1]):
            self._indexed, self._short, self._full, known = [], {}, {}, 0
        for entry in entries[known:]:
            self._indexed.append(entry)
            self._short.setdefault(entry.name, []).append(entry)
            self._full.setdefault(entry.full_name, []).append(entry)
