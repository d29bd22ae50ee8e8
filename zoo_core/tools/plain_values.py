"""Plain values of a prediction, such as classes and numbers, as the row of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo_core.data.table_csv import Cell
from zoo_core.data.values import kind_of


def is_plain(value: Any) -> bool:
    """Whether a value belongs in a table: numbers, texts, lists and mappings of them, and arrays of one dimension."""
    kind = kind_of(value)
    return kind in (None, "text") or (kind == "array" and value.ndim == 1)


def as_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Cell]]:
    """The columns of a table with these rows, each read from JSON; a cell that a row does not have is empty.

    What a list or a mapping contains has columns of its own, ``fraction.sky``. A list that has one item in every row
    is that item.
    """
    flat = [dict(_flat(row)) for row in with_single_items(rows)]
    return {name: [row.get(name) for row in flat] for name in _names(flat)}


def with_single_items(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows, in which a list that has one item in every row is that item."""
    single = {name for name in _names(rows) if all(_has_one(row.get(name)) for row in rows)}
    return [{name: _item(value, name in single) for name, value in row.items()} for row in rows]


def _names(rows: Sequence[Mapping[str, Any]]) -> dict[str, None]:
    return {name: None for row in rows for name in row}


def _has_one(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 1)


def _item(value: Any, is_single: bool) -> Any:
    return value[0] if is_single and value is not None else value


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Cell]]:
    if isinstance(value, Mapping):
        parts = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list):
        parts = [(str(number), one) for number, one in enumerate(value)]
    else:
        yield name, value
        return
    for key, one in parts:
        yield from _flat(one, f"{name}.{key}" if name else key)
