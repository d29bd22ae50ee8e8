"""Tables on the terminal, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zoo_core.errors import printable
from zoo_core.terminal import say, say_text


def same_columns(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the columns of those that have the most; what a row does not have is ""."""
    columns = max(rows, key=len, default={})
    return [{column: row.get(column, "") for column in columns} for row in rows]


def show(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print a line per row with aligned columns, or the rows as JSON."""
    if as_json:
        say_text(json.dumps(rows, indent=2, default=str))
        return
    if not rows:
        say("none")
        return
    headings = list(rows[0])
    cells = [headings, *([printable(str(row[heading])) for heading in headings] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
