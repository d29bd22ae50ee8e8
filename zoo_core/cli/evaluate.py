"""``zoo eval``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo_core.cli import common_options
from zoo_core.cli.names import WeightsName
from zoo_core.cli.table import show
from zoo_core.registry.catalog import Catalog
from zoo_core.training.signals import exits_on_interrupt

if TYPE_CHECKING:
    from zoo_core.tools.evaluate import Comparison


@click.command("eval")
@click.argument("source", metavar="NAME|FILE|RUN_DIR", type=WeightsName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--device", help="cpu, cuda, cuda:1, mps, xpu; otherwise an accelerator if there is one.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    help="How far apart figures may be, as a share of them.",
)
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(
    source: str,
    overrides: tuple[str, ...],
    device: str | None,
    tolerance: float,
    registry: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Measure the weights SOURCE with the recipe they carry, and say whether every figure is as they state.

    Ends with exit code 1 if one is not.
    """
    if device:
        overrides = (*overrides, f"run.device={device}")
    here = Catalog(registry)
    with exits_on_interrupt():
        from zoo_core.tools.evaluate import evaluate

        comparison = evaluate(source, here, overrides, tolerance)
    return say(source, comparison, as_json)


def say(source: str, comparison: Comparison, as_json: bool) -> int:
    """Print figures beside one another and whether they agree; gives the exit code."""
    if as_json:
        rows = comparison.rows()
        click.echo(
            json.dumps({"match": comparison.match, "same_data": comparison.same_data, "metrics": rows}, indent=2)
        )
        return 0 if comparison.match else 1
    shown = [row for row in comparison.rows() if "/" not in row["metric"] or not row["match"]]
    show([{key: _plain(value) for key, value in row.items()} for row in shown], as_json=False)
    hidden = len(comparison.expected) - len(shown)
    if hidden:
        click.echo(f"and {hidden} {'detail, which agrees' if hidden == 1 else 'details, which agree'}, too")
    share = f"{100 * comparison.tolerance:g} %"
    if not comparison.same_data:
        click.echo(f"{source}: measured on other data than its figures, so they say nothing of one another.")
    elif comparison.mismatches:
        click.echo(f"{source}: {len(comparison.mismatches)} of {len(comparison.expected)} figures are not as stated.")
    else:
        click.echo(f"{source}: all {len(comparison.expected)} figures are as stated, within {share}.")
    return 0 if comparison.match else 1


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) else "not found" if value is None else str(value)
