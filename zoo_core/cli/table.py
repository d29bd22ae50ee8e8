"""Tables on the terminal, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from zoo_core.errors import printable


def show(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print a line per row with aligned columns, or the rows as JSON."""
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    if not rows:
        click.echo("none")
        return
    headings = list(rows[0])
    cells = [headings, *([printable(str(row[heading])) for heading in headings] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
