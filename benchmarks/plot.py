"""The suite's results as a picture: each row over its bar, on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.page import rows
from benchmarks.rows import Row

GOOD, BAD = "#2a7f62", "#c0392b"


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw how far each row is on the right side of its bar (1): 2 is twice as good as it should be."""
    from matplotlib.figure import Figure

    found = list(rows(results))
    figure = Figure(figsize=(9, 1.2 + 0.28 * len(found)), layout="constrained")
    axes = figure.subplots()
    for place, (row, spread) in enumerate(reversed(found)):
        least, middle, most = (_margin(row, spread[name]) for name in ("min", "median", "max"))
        color = GOOD if row.holds(spread["median"]) else BAD
        axes.plot([least, most], [place, place], color=color, linewidth=2, alpha=0.5)
        axes.plot(middle, place, "o", color=color, markersize=5)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(found)), [row.what for row, _ in reversed(found)], fontsize=8)
    axes.set_xlabel("measured over where it should stand; to the right is better")
    figure.savefig(path, dpi=110)


def _margin(row: Row, value: float) -> float:
    return value / row.bar if row.at_least else row.bar / max(value, 1e-9)
