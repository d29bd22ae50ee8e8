"""A table of runs for the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from rich.table import Table
from rich.text import Text

from zoo_core.errors import printable
from zoo_core.tools.top.read import RunStatus

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 20
_COLORS = {"running": "green", "failed": "red", "damaged": "red", "killed": "yellow", "stopped": "yellow"}


def table(runs: Sequence[RunStatus], rows: int | None = None) -> Table:
    """The table of ``runs``; at most ``rows`` are shown, and the others are counted."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("state", "recipe", "step", "steps/s", "time left", "last write"):
        result.add_column(heading, justify="left" if heading in ("state", "recipe") else "right", no_wrap=True)
    result.add_column("loss", no_wrap=True)
    result.add_column("run", overflow="fold")
    if not runs:
        result.add_row(Text("no runs yet", style="dim"))
    shown = runs if rows is None else runs[:rows]
    for run in shown:
        last = Text(printable(run.folder))
        if run.note:
            last.append(f"  {printable(run.note)}", style="dim")
        result.add_row(
            Text(run.state, style=_COLORS.get(run.state, "")),
            Text(printable(run.recipe) or "?"),
            _steps(run),
            "" if run.steps_per_second is None else f"{run.steps_per_second:.1f}",
            "" if run.seconds_left is None else str(timedelta(seconds=round(run.seconds_left))),
            f"{_ago(time.time() - run.last_written)} ago",
            Text(
                "\n".join(
                    f"{sparkline(values)} {values[-1]:.4g} {printable(name)}" for name, values in run.losses.items()
                )
            ),
            last,
        )
    if len(shown) < len(runs):
        result.add_row(Text(f"… {len(runs) - len(shown)} more", style="dim"))
    return result


def sparkline(values: Sequence[float]) -> str:
    """The last values as bars from the lowest to the highest value; equal values give the lowest bars."""
    last = values[-_WIDTH:]
    low, high = min(last), max(last)
    return "".join(_BARS[round((value - low) / (high - low) * 7) if high > low else 0] for value in last)


def _steps(run: RunStatus) -> str:
    done = "?" if run.step is None else f"{run.step:,}"
    return done if run.steps is None else f"{done}/{run.steps:,}"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0, seconds):.0f}s"
