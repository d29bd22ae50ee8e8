"""The curves of ``metrics.jsonl``, downsampled for display."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from zoo_core.runs.metrics import parse_line

MAX_POINTS = 2000
_NO_METRICS = ("step", "epoch", "evaluation")
_EVALUATION = "\n"  # no name of a metric
_CHUNK = 2**19  # bytes that are parsed at once
_MOST = 2**63  # of an integer, as in a line that is parsed by itself
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Curve:
    """A metric over the steps. A value of None is a gap, where the metric was not finite."""

    name: str
    evaluation: bool
    steps: list[int]
    values: list[float | None]
    last: float | None


def read_curves(path: Path, notes: list[str]) -> list[Curve]:
    """Every metric of the file, train metrics first. The number of unreadable lines is added to ``notes``."""
    found: dict[tuple[bool, str], _Points] = {}
    damaged = 0
    for chunk in _chunks(path, notes):
        rows = _parsed(chunk)
        if rows is None or not _add_columns(rows, found):
            parsed = [parse_line(line) for line in chunk[:-1].split(b"\n")]
            damaged += parsed.count(None)
            for row in parsed:
                if row is not None:
                    _add_row(row, found)
    if damaged:
        lines = "1 line" if damaged == 1 else f"{damaged:,} lines"
        notes.append(f"{lines} of {path.name} could not be read and {'is' if damaged == 1 else 'are'} left out.")
    ordered = sorted(found.items(), key=lambda item: item[0][0])
    return [points.curve(name, evaluation) for (evaluation, name), points in ordered]


class _Points:
    """The points of a metric, in the order of the file."""

    def __init__(self) -> None:
        self._steps: list[_Array] = []
        self._values: list[_Array] = []
        self._last: tuple[int, float | None] = (-1, None)

    def add(self, steps: _Array, values: _Array, last: float | None) -> None:
        """Add values by step, which are NaN in gaps; ``last`` is that of the last one, which may be an integer."""
        self._steps.append(steps)
        self._values.append(values)
        if int(steps[-1]) >= self._last[0]:
            self._last = (int(steps[-1]), last)

    def curve(self, name: str, evaluation: bool) -> Curve:
        steps, values = np.concatenate(self._steps), np.concatenate(self._values)
        if not (np.diff(steps) > 0).all():
            order = steps.argsort(kind="stable")
            steps, values = steps[order], values[order]
            newest = np.append(steps[1:] != steps[:-1], True)  # a step that a resumed run logs again
            steps, values = steps[newest], values[newest]
        kept = downsampled(values)
        shown = values[kept].tolist()
        finite = [None if math.isnan(value) else value for value in shown]
        return Curve(name, evaluation, steps[kept].tolist(), finite, self._last[1])


def downsampled(values: _Array, max_points: int = MAX_POINTS) -> _Array:
    """The indices of about ``max_points`` points: the ends, and the minimum, maximum and one gap of each interval.

    A gap is NaN.
    """
    if len(values) <= max_points:
        return np.arange(len(values))
    size = math.ceil(3 * len(values) / max_points)
    kept = {0, len(values) - 1}
    for first in range(0, len(values), size):
        part = values[first : first + size]
        gaps = np.isnan(part)
        if not gaps.all():
            kept |= {first + int(np.nanargmin(part)), first + len(part) - 1 - int(np.nanargmax(part[::-1]))}
        if gaps.any():
            kept.add(first + int(gaps.argmax()))
    return np.array(sorted(kept))


def _parsed(chunk: bytes) -> list[dict[str, Any]] | None:
    """The lines of a chunk, parsed at once; None unless each is an object of JSON without others in it."""
    count = chunk.count(b"\n")
    starts = chunk.count(b"\n{") + chunk.startswith(b"{")
    if not count == starts == chunk.count(b"}\n") == chunk.count(b"{") == chunk.count(b"}"):
        return None
    try:
        rows: Any = json.loads(f"[{chunk.decode()[:-1]}]".replace("\n", ","), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    # A duplicate key would be counted twice.
    return rows if len(rows) == count and sum(map(len, rows)) == chunk.count(b'":') else None


def _add_columns(rows: list[dict[str, Any]], found: dict[tuple[bool, str], _Points]) -> bool:
    """Add the rows column by column; False, and nothing is added, if one of them may be damaged."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        names = tuple(row)
        if "evaluation" in names and row["evaluation"]:
            names = (*names, _EVALUATION)
        alike.setdefault(names, []).append(row)
    columns: list[tuple[tuple[bool, str], _Array, _Array, float | None]] = []
    for names, group in alike.items():
        if "step" not in names:
            return False
        evaluation = names[-1] is _EVALUATION
        steps = _numbers([row["step"] for row in group], {int}, np.int64)
        if steps is None or steps.min() < 0:
            return False
        for name in names[: len(names) - evaluation]:
            if name != "step":
                series = [row[name] for row in group]
                values = _numbers(series, {int, float, bool, type(None)}, np.float64)
                if values is None:
                    return False
                if name not in _NO_METRICS:
                    columns.append(((evaluation, name), steps, values, series[-1]))
    for key, steps, values, last in columns:
        found.setdefault(key, _Points()).add(steps, values, last)
    return True


def _numbers(series: list[Any], kinds: set[type], dtype: type) -> _Array | None:
    """The numbers as an array; None if one has another type or is too large."""
    types = set(map(type, series))
    if not types <= kinds:
        return None
    if int in types and dtype is np.float64 and not all(-_MOST <= one < _MOST for one in series if type(one) is int):
        return None
    try:
        array: _Array = np.array(series, dtype=dtype)
    except OverflowError:
        return None
    return None if dtype is np.float64 and np.isinf(array).any() else array


def _add_row(row: dict[str, Any], found: dict[tuple[bool, str], _Points]) -> None:
    for name, value in row.items():
        if name not in _NO_METRICS:
            point = np.array([row["step"]]), np.array([value], dtype=np.float64)
            found.setdefault((bool(row.get("evaluation")), name), _Points()).add(*point, value)


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _chunks(path: Path, notes: list[str]) -> Iterator[bytes]:
    """The file in parts that end with a line."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                chunk += file.readline()
                yield chunk if chunk.endswith(b"\n") else chunk + b"\n"
    except FileNotFoundError:
        notes.append("The run has logged no metrics.")
    except OSError as error:
        notes.append(f"{path} can't be read: {error.strerror}.")
