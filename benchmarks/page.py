"""The suite's results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.rows import SCRIPTS, Row


def page(results: dict[str, Any]) -> str:
    """A section a script: the same work, the machine and its load, a table of its rows."""
    found = {script: results["scripts"][script.key] for script in SCRIPTS if script.key in results["scripts"]}
    machine = next((one["machine"] for one in found.values() if "machine" in one), {})
    lines = [
        "# What was measured",
        "",
        "Ratios of things that took turns in one run on one machine; medians, and the least and the most. This page is "
        "made from [benchmarks.json](benchmarks.json), which has every single measurement, by `python -m benchmarks "
        "--page`; [benchmarks/README.md](../benchmarks/README.md) says what each script does.",
        "",
        f"{results['date']}; {machine.get('cores', '?')} cores ({machine.get('processor', 'unknown')}), "
        f"{machine.get('memory_gib', '?')} GiB, {machine.get('platform', 'unknown')}, "
        f"Python {machine.get('python', '?')}, torch {machine.get('torch', '?')}.",
        "",
    ]
    held = [row.holds(spread["median"]) for row, spread in rows(results)]
    lines += [
        f"{sum(held)} of {len(held)} rows stand where they should.",
        "",
        "![every row over its bar](benchmarks.png)",
        "",
    ]
    for script, one in found.items():
        lines += [f"## {script.key}", "", script.same_work, ""]
        if "failed" in one:
            lines += [f"Not measured: {one['failed']}.", ""]
            continue
        load = one.get("load_average", {})
        before, after = (load.get(when, ["?"])[0] for when in ("before", "after"))
        lines += [f"`python benchmarks/{' '.join([script.name, *script.arguments])}`", ""]
        lines += [f"Load average {before} before and {after} after.", ""]
        lines += ["| what | measured | should be | |", "| --- | --- | --- | --- |"]
        for row in script.rows:
            lines.append(line(row, one.get("ratios", {}).get(row.ratio)))
        for what, ratio in script.beside:
            if ratio in one.get("ratios", {}):
                lines.append(f"| {what} | {told(one['ratios'][ratio])} | | |")
        lines.append("")
    return "\n".join(lines)


def line(row: Row, spread: dict[str, float] | None) -> str:
    if spread is None:
        return f"| {row.what} | not measured | {row.bar_in_words()} | |"
    stands = "" if row.holds(spread["median"]) else "falls short"
    return f"| {row.what} | {told(spread)} | {row.bar_in_words()} | {stands} |"


def told(spread: dict[str, float]) -> str:
    least, most = f"{spread['min']:.3g}", f"{spread['max']:.3g}"
    return f"{spread['median']:.3g}" + (f" ({least} to {most})" if least != most else "")


def rows(results: dict[str, Any]) -> Iterator[tuple[Row, dict[str, float]]]:
    """Every row that was measured, with median, least and most."""
    for script in SCRIPTS:
        ratios = results["scripts"].get(script.key, {}).get("ratios", {})
        for row in script.rows:
            if row.ratio in ratios:
                yield row, ratios[row.ratio]
