"""Runs as a table for the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from rich.table import Table
from rich.text import Text

from zoo_core.tools.top.read import Seen

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 20
_COLOURS = {"running": "green", "failed": "red", "damaged": "red", "killed": "yellow", "stopped": "yellow"}


def table(runs: Sequence[Seen], rows: int | None = None) -> Table:
    """``rows`` is how many runs are shown; the rest are counted."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("state", "recipe", "step", "steps/s", "left", "written"):
        made.add_column(heading, justify="left" if heading in ("state", "recipe") else "right", no_wrap=True)
    made.add_column("loss", no_wrap=True)
    made.add_column("run", overflow="fold")
    if not runs:
        made.add_row(Text("no runs yet", style="dim"))
    shown = runs if rows is None else runs[:rows]
    for run in shown:
        last = Text(run.folder)
        if run.note:
            last.append(f"  {run.note}", style="dim")
        made.add_row(
            Text(run.state, style=_COLOURS.get(run.state, "")),
            Text(run.recipe or "?"),
            _steps(run),
            "" if run.rate is None else f"{run.rate:.1f}",
            "" if run.left is None else str(timedelta(seconds=round(run.left))),
            f"{_ago(time.time() - run.written)} ago",
            Text("\n".join(f"{sparkline(values)} {values[-1]:.4g} {name}" for name, values in run.losses.items())),
            last,
        )
    if len(shown) < len(runs):
        made.add_row(Text(f"… {len(runs) - len(shown)} more", style="dim"))
    return made


def sparkline(values: Sequence[float]) -> str:
    """The last values as bars, the lowest value the lowest bar; all equal: the lowest."""
    last = values[-_WIDTH:]
    low, high = min(last), max(last)
    return "".join(_BARS[round((value - low) / (high - low) * 7) if high > low else 0] for value in last)


def _steps(run: Seen) -> str:
    done = "?" if run.step is None else f"{run.step:,}"
    return done if run.steps is None else f"{done}/{run.steps:,}"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0, seconds):.0f}s"
