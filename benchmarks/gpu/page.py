"""The results on a GPU as a section of the page of benchmarks."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.parts import PARTS, Part
from benchmarks.table import format_spread, line


def section(results: dict[str, Any] | None) -> str:
    """The section: the machine, and for each part what is compared and a table of its rows."""
    lines = ["## On a GPU", ""]
    if results is None:
        return "\n".join([*lines, "Not measured. `python -m benchmarks --gpu` measures it.", ""])
    machine = results["machine"]
    lines += [
        f"{results['date']}; {machine.get('gpu', 'unknown')}, driver {machine.get('driver') or '?'}, "
        f"CUDA {machine.get('cuda') or '?'}, torch {machine.get('torch', '?')}, Python {machine.get('python', '?')}, "
        f"{machine.get('cores', '?')} cores ({machine.get('processor', 'unknown')}).",
        "",
    ]
    if results.get("quick"):
        lines += ["A trial with a few steps: the numbers mean nothing.", ""]
    reached = [
        row.reaches_target(found["ratios"][row.ratio]["median"])
        for name, found in results["parts"].items()
        for row in PARTS[name].rows
        if row.ratio in found.get("ratios", {})
    ]
    expected = sum(len(part.rows) for part in PARTS.values())
    lines += [
        f"{sum(reached)} of {expected} rows reach their target, {expected - len(reached)} were not measured; "
        f"`python -m benchmarks --gpu` took {results.get('minutes', '?')} minutes.",
        "",
    ]
    for name, part in PARTS.items():
        lines += _part(part, results["parts"].get(name, {}))
    return "\n".join(lines)


def _part(part: Part, found: dict[str, Any]) -> list[str]:
    ratios, failed = found.get("ratios", {}), found.get("failed", {})
    lines = [f"### {part.name}", "", part.description, ""]
    lines += ["| | measured | target | |", "| --- | --- | --- | --- |"]
    lines += [line(row, ratios.get(row.ratio)) for row in part.rows]
    for title, key in part.additional:
        if key in ratios:
            lines.append(f"| {title} | {format_spread(ratios[key])} | | |")
    lines.append("")
    for key, error in failed.items():
        message = " ".join(error["failed"].split())
        lines += [f"Not measured: {key} ({message[:300]}).", ""]
    return lines
