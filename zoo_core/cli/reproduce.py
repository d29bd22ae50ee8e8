"""``zoo reproduce``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.evaluate import say
from zoo_core.cli.names import WeightsName
from zoo_core.training.signals import EXIT_CODES, exits_on_interrupt


@click.command("reproduce")
@click.argument("source", metavar="NAME|FILE|RUN_DIR", type=WeightsName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--device", help="cpu, cuda, cuda:1, mps, xpu; otherwise an accelerator if there is one.")
@click.option("--tolerance", default=0.05, show_default=True, help="How far apart figures may be, as a share of them.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the run goes; otherwise runs/RECIPE/TIME.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(
    source: str,
    overrides: tuple[str, ...],
    device: str | None,
    tolerance: float,
    folder: Path | None,
    registry: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Train the weights SOURCE again by the recipe they carry, and lay the figures side by side.

    Ends with exit code 1 if they differ. If it is interrupted, `zoo run --resume` goes on with the run.
    """
    if device:
        overrides = (*overrides, f"run.device={device}")
    here = open_catalog(registry)
    with exits_on_interrupt():
        from rich.console import Console

        from zoo_core.loggers import standard
        from zoo_core.loggers.progress import Progress
        from zoo_core.tools.evaluate import reproduce

    callbacks = [*standard(), Progress(Console(stderr=True))]
    run, comparison = reproduce(source, here, overrides, tolerance, callbacks, folder)
    if run.stopping:
        click.echo(f"stopped by {run.stopping}; go on: zoo run --resume {run.path}", err=True)
        return EXIT_CODES.get(run.stopping, 1)
    click.echo(f"run {run.path}", err=True)
    return say(source, comparison, as_json)
