"""The results of the suite as a plot: each row relative to its target, on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.page import rows
from benchmarks.rows import Row

GOOD, BAD = "#2a7f62", "#c0392b"


def plot(results: dict[str, Any], path: Path) -> None:
    """Plot each row relative to its target: 1 reaches it, and 2 is twice as good."""
    from matplotlib.figure import Figure

    found = list(rows(results))
    figure = Figure(figsize=(9, 1.2 + 0.28 * len(found)), layout="constrained")
    axes = figure.subplots()
    for y, (row, spread) in enumerate(reversed(found)):
        low, median, high = (_relative(row, spread[name]) for name in ("min", "median", "max"))
        color = GOOD if row.reaches_target(spread["median"]) else BAD
        axes.plot([low, high], [y, y], color=color, linewidth=2, alpha=0.5)
        axes.plot(median, y, "o", color=color, markersize=5)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(found)), [row.title for row, _ in reversed(found)], fontsize=8)
    axes.set_xlabel("measured relative to the target; right is better")
    figure.savefig(path, dpi=110)


def _relative(row: Row, value: float) -> float:
    return value / row.target if row.at_least else row.target / max(value, 1e-9)
