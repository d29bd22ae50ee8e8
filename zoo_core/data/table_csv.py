"""Tables as CSV files, which a spreadsheet opens without running their texts as formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

Cell = str | int | float | bool | None
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a text begins that a spreadsheet takes for a formula, with the apostrophes that keep it from doing so."""


def as_csv(columns: Mapping[str, Sequence[Cell]]) -> str:
    """The columns as CSV with a row of their names. Numbers are written in full; None is an empty field.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return, and is no number, is written after
    an apostrophe. :func:`read_csv` removes it.
    """
    file = io.StringIO()
    writer = csv.writer(file)  # with the line ends of RFC 4180; with others, it would not quote a carriage return
    if columns:
        writer.writerow(map(_written, columns))
    writer.writerows(map(_written, row) for row in rows_of(columns))
    return file.getvalue()


def read_csv(lines: Iterable[str]) -> Iterator[list[str]]:
    """The names of the columns, if there are any, and then the rows.

    Raises:
        csv.Error: if a field is too long to be read, or the file is damaged.
    """
    for row in csv.reader(lines, strict=True):
        yield [_read(field) for field in row]


def rows_of(columns: Mapping[str, Sequence[Cell]]) -> list[tuple[Cell, ...]]:
    """The rows of a table, of which ``columns`` are the columns."""
    return list(zip(*columns.values(), strict=True))


def shown(cell: Cell) -> str:
    """A cell as text for a reader: six digits of a fraction, nothing for None."""
    if isinstance(cell, float):
        return f"{cell:.6g}"
    return "" if cell is None else str(cell)


def is_number(text: str) -> bool:
    """Whether a field of a CSV file is a number, or a text that looks like one."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _written(cell: Cell) -> Cell:
    if isinstance(cell, str) and _FORMULA.match(cell) and not is_number(cell):
        return f"'{cell}"
    return cell


def _read(field: str) -> str:
    return field[1:] if field.startswith("'") and _FORMULA.match(field) else field
