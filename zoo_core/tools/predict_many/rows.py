"""The predictions of many files as one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo_core.data.image_output import not_written
from zoo_core.data.table_csv import as_csv
from zoo_core.data.values import Table, kind_of
from zoo_core.errors import BadSetting
from zoo_core.files import write_atomically
from zoo_core.tools.output_names import KINDS
from zoo_core.tools.plain_values import as_columns, is_plain, with_single_items
from zoo_core.tools.prediction import in_json


def in_table(values: Mapping[str, Any], place: str, hint: str) -> tuple[dict[str, Any], list[str]]:
    """What of a prediction a table can contain, and which of it are tables themselves.

    Raises:
        BadSetting: if it is nothing.
    """
    tables = [name for name, value in values.items() if isinstance(value, Table)]
    kept = {name: value for name, value in values.items() if name in tables or is_plain(value)}
    if not kept and values:
        raise unfit(values, next(iter(values)), place, hint)
    return json.loads(in_json(kept)), tables


def unfit(values: Mapping[str, Any], name: str, place: str, hint: str) -> BadSetting:
    """The error for a value that a table, or the terminal, can't contain."""
    kind = kind_of(values[name])
    what = KINDS[kind] if kind else "a value"
    goes = f"which {place} can't contain" if place else "but no file is given"
    return BadSetting(f"the model predicts {what} as '{name}', {goes}.", hint)


def write_rows(path: Path, rows: Sequence[tuple[str, dict[str, Any], list[str]]]) -> None:
    """Write a table: of each prediction the name of its file, its values, and which of them are tables.

    Raises:
        BadFile: if the file can't be written.
    """
    try:
        if path.suffix.lower() == ".json":
            listed = with_single_items([{"file": name, **values} for name, values, _ in rows])
            write_atomically(path, "[\n" + ",\n".join(json.dumps(one) for one in listed) + "\n]\n")
            return
        flat = [row for one in rows for row in _rows_of(*one)]
        write_atomically(path, as_csv(Table(as_columns(flat)).columns))
    except OSError as error:
        raise not_written(path, error) from error


def _rows_of(name: str, values: dict[str, Any], tables: list[str]) -> Iterator[dict[str, Any]]:
    """The row of a prediction, or one for each row of its tables."""
    plain = {"file": name, **{key: value for key, value in values.items() if key not in tables}}
    if not tables:
        yield plain
        return
    for table in tables:
        columns = values[table]
        several = {"table": table} if len(tables) > 1 else {}
        for number in range(len(next(iter(columns.values()), []))):
            yield {**plain, **several, **{key: cells[number] for key, cells in columns.items()}}
