"""The curves of ``metrics.jsonl``, downsampled for display."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo_core.runs.metrics import parse_line

MAX_POINTS = 2000
_NO_METRICS = ("step", "epoch", "evaluation")
Point = tuple[int, float | None]


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
    found: dict[tuple[bool, str], list[Point]] = {}
    damaged = 0
    for line in _lines(path, notes):
        parsed = parse_line(line)
        if parsed is None:
            damaged += 1
            continue
        step, evaluation = parsed["step"], bool(parsed.get("evaluation"))
        for name, value in parsed.items():
            if name not in _NO_METRICS:
                found.setdefault((evaluation, name), []).append((step, value))
    if damaged:
        lines = "1 line" if damaged == 1 else f"{damaged:,} lines"
        notes.append(f"{lines} of {path.name} could not be read and {'is' if damaged == 1 else 'are'} left out.")
    ordered = sorted(found.items(), key=lambda item: item[0][0])
    return [_curve(name, evaluation, points) for (evaluation, name), points in ordered]


def downsample(points: Sequence[Point], max_points: int = MAX_POINTS) -> list[Point]:
    """About ``max_points`` points at most: the minimum, the maximum and one gap of each interval of steps."""
    if len(points) <= max_points:
        return list(points)
    size = math.ceil(3 * len(points) / max_points)
    kept: list[Point] = []
    for first in range(0, len(points), size):
        kept += _extremes(points[first : first + size])
    ends = {points[0][0]: points[0], points[-1][0]: points[-1]}
    return sorted([point for point in kept if point[0] not in ends] + list(ends.values()), key=lambda point: point[0])


def _extremes(points: Sequence[Point]) -> list[Point]:
    finite = [(value, step) for step, value in points if value is not None]
    chosen: dict[int, float | None] = {}
    if finite:
        for value, step in {min(finite), max(finite)}:
            chosen[step] = value
    gap = next((step for step, value in points if value is None), None)
    if gap is not None:
        chosen[gap] = None
    return sorted(chosen.items())


def _curve(name: str, evaluation: bool, points: list[Point]) -> Curve:
    in_order = sorted(dict(points).items())
    shown = downsample(in_order)
    return Curve(name, evaluation, [step for step, _ in shown], [value for _, value in shown], in_order[-1][1])


def _lines(path: Path, notes: list[str]) -> Iterable[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        notes.append("The run has logged no metrics.")
    except OSError as error:
        notes.append(f"{path} can't be read: {error.strerror}.")
