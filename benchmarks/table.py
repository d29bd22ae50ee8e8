"""Lines of a table of results."""

from __future__ import annotations

from benchmarks.rows import Row


def line(row: Row, spread: dict[str, float] | None) -> str:
    if spread is None:
        return f"| {row.title} | not measured | {row.format_target()} | |"
    missed = "" if row.reaches_target(spread["median"]) else "missed"
    return f"| {row.title} | {format_spread(spread)} | {row.format_target()} | {missed} |"


def format_spread(spread: dict[str, float]) -> str:
    median, low, high = (_number(spread[name]) for name in ("median", "min", "max"))
    return median + (f" ({low} to {high})" if low != high else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
