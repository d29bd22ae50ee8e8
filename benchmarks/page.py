"""The results of the suite as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.page import section
from benchmarks.rows import SCRIPTS, Row
from benchmarks.table import format_spread, line


def page(results: dict[str, Any], on_gpu: dict[str, Any] | None = None) -> str:
    """The page: a section for each script, with what is compared, the load of the machine, and a table of its rows.

    The last section has the results on a GPU, if there are any.
    """
    found = {script: results["scripts"][script.key] for script in SCRIPTS if script.key in results["scripts"]}
    machine = next((one["machine"] for one in found.values() if "machine" in one), {})
    lines = [
        "# Benchmark results",
        "",
        "Ratios of measurements that alternate within one run on one machine: the median, and the minimum and maximum "
        "in parentheses. `python -m benchmarks --page` generates this page from [benchmarks.json](benchmarks.json), "
        "which has all measurements; [benchmarks/README.md](../benchmarks/README.md) describes the scripts.",
        "",
        f"{results['date']}; {machine.get('cores', '?')} cores ({machine.get('processor', 'unknown')}), "
        f"{machine.get('memory_gib', '?')} GiB, {machine.get('platform', 'unknown')}, "
        f"Python {machine.get('python', '?')}, torch {machine.get('torch', '?')}.",
        "",
    ]
    reached = [row.reaches_target(spread["median"]) for row, spread in rows(results)]
    lines += [
        f"{sum(reached)} of {len(reached)} rows reach their target.",
        "",
        "![every row relative to its target](benchmarks.png)",
        "",
    ]
    for script, one in found.items():
        lines += [f"## {script.key}", "", script.description, ""]
        if "failed" in one:
            lines += [f"Not measured: {one['failed']}.", ""]
            continue
        load = one.get("load_average", {})
        before, after = (load.get(when, ["?"])[0] for when in ("before", "after"))
        lines += [f"`python benchmarks/{' '.join([script.name, *script.arguments])}`", ""]
        lines += [f"Load average {before} before and {after} after.", ""]
        lines += ["| ratio | measured | target | |", "| --- | --- | --- | --- |"]
        for row in script.rows:
            lines.append(line(row, one.get("ratios", {}).get(row.ratio)))
        for title, ratio in script.additional:
            if ratio in one.get("ratios", {}):
                lines.append(f"| {title} | {format_spread(one['ratios'][ratio])} | | |")
        lines.append("")
    return "\n".join([*lines, section(on_gpu)])


def rows(results: dict[str, Any]) -> Iterator[tuple[Row, dict[str, float]]]:
    """Every row that was measured, with its median, minimum and maximum."""
    for script in SCRIPTS:
        ratios = results["scripts"].get(script.key, {}).get("ratios", {})
        for row in script.rows:
            if row.ratio in ratios:
                yield row, ratios[row.ratio]
