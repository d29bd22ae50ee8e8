"""The suite's results as a picture: each row over its bar, on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.page import rows

GOOD, BAD = "#2a7f62", "#c0392b"


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw how far each row is on the right side of its bar (1): 2 is twice as good as it should be."""
    from matplotlib.figure import Figure

    found = list(rows(results))
    figure = Figure(figsize=(9, 1.2 + 0.28 * len(found)), layout="constrained")
    axes = figure.subplots()
    for place, (_, row, median, spread) in enumerate(reversed(found)):
        ends = [_margin(row.bar, row.at_least, value) for value in (spread["min"], spread["max"])]
        middle = _margin(row.bar, row.at_least, median)
        color = GOOD if row.holds(median) else BAD
        axes.plot(ends, [place, place], color=color, linewidth=2, alpha=0.5)
        axes.plot(middle, place, "o", color=color, markersize=5)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(found)), [row.what for _, row, _, _ in reversed(found)], fontsize=8)
    axes.set_xlabel("measured over where it should stand; to the right is better")
    figure.savefig(path, dpi=110)


def _margin(bar: float, at_least: bool, value: float) -> float:
    return value / bar if at_least else bar / max(value, 1e-9)
