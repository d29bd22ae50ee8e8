"""``zoo reproduce``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.evaluate import print_comparison
from zoo_core.cli.names import WeightsName
from zoo_core.cli.options import device_option, json_option, registry_option
from zoo_core.config.command_line import resume_command
from zoo_core.terminal import console, say
from zoo_core.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from zoo_core.registry.resolve import ResolvedRecipe


@click.command("reproduce")
@click.argument("source", metavar="NAME|FILE|RUN_DIR", type=WeightsName())
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@device_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.05,
    show_default=True,
    help="Largest allowed relative difference of a metric.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Folder of the run; by default runs/RECIPE/TIME.")
@registry_option
@json_option
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
    """Train weights again with the recipe in their file, and compare with the metrics that they state.

    The exit code is 1 if a metric differs. An interrupted run can be resumed with `zoo run --resume`.
    """
    if device:
        overrides = (*overrides, f"run.device={device}")
    catalog = open_catalog(registry)
    from zoo_core.loggers import loggers_of
    from zoo_core.loggers.progress import Progress
    from zoo_core.tools.evaluate import reproduce

    def callbacks(resolved: ResolvedRecipe) -> list[object]:
        return [*loggers_of(resolved), Progress(console(err=True))]

    run, comparison = reproduce(source, catalog, overrides, tolerance, callbacks, folder)
    if run.stopping:
        say(f"stopped by {run.stopping}; resume with: {resume_command(run.path)}", err=True)
        return EXIT_CODES.get(run.stopping, 1)
    say(f"run {run.path}", err=True)
    return print_comparison(source, comparison, as_json)
