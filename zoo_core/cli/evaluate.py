"""``zoo eval``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import WeightsName
from zoo_core.cli.options import device_option, json_option, registry_option
from zoo_core.cli.table import show
from zoo_core.terminal import say, say_text

if TYPE_CHECKING:
    from zoo_core.tools.evaluate import Comparison


@click.command("eval")
@click.argument("source", metavar="NAME|FILE|RUN_DIR", type=WeightsName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@device_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    help="Largest allowed relative difference of a metric.",
)
@registry_option
@json_option
@common_options
def command(
    source: str,
    overrides: tuple[str, ...],
    device: str | None,
    tolerance: float,
    registry: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Evaluate weights with the recipe in their file, and compare with the metrics that they state.

    The exit code is 1 if a metric differs.
    """
    if device:
        overrides = (*overrides, f"run.device={device}")
    catalog = open_catalog(registry)
    from zoo_core.tools.evaluate import evaluate

    comparison = evaluate(source, catalog, overrides, tolerance)
    return print_comparison(source, comparison, as_json)


def print_comparison(source: str, comparison: Comparison, as_json: bool) -> int:
    """Print stated and measured metrics side by side, and whether they agree; returns the exit code."""
    if as_json:
        rows = comparison.rows()
        say_text(json.dumps({"match": comparison.match, "same_data": comparison.same_data, "metrics": rows}, indent=2))
        return 0 if comparison.match else 1
    shown = [row for row in comparison.rows() if "/" not in row["metric"] or not row["match"]]
    columns = ("metric", "expected", "measured", *(["match"] if comparison.same_data else []))
    show([{key: _plain(row[key]) for key in columns} for row in shown], as_json=False)
    hidden = len(comparison.expected) - len(shown)
    if hidden and comparison.same_data:
        say(f"and {hidden} more {'metric, which agrees' if hidden == 1 else 'metrics, which agree'}")
    if not comparison.same_data:
        say(f"{source}: the stated metrics are of other data, so they cannot be compared.")
    elif comparison.mismatches:
        say(f"{source}: {len(comparison.mismatches)} of {len(comparison.expected)} metrics differ.")
    else:
        tolerance = f"{100 * comparison.tolerance:g} %"
        say(f"{source}: all {len(comparison.expected)} metrics agree within {tolerance}.")
    return 0 if comparison.match else 1


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) else "not found" if value is None else str(value)
