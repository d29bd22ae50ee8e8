"""``zoo report``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import registry_option
from zoo_core.errors import BadSetting
from zoo_core.runs.paths import run_called
from zoo_core.terminal import say

NAME = "report.html"


@click.command("report")
@click.argument("runs", metavar="RUN_DIR|last...", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help=f"File; by default {NAME} in the run's folder.")
@registry_option
@common_options
def command(runs: tuple[str, ...], output: Path | None, registry: tuple[Path, ...]) -> None:
    """Write an HTML report on one run, or on several side by side. It needs no network and no other file.

    \b
    zoo report last
    zoo report runs/clsgan-mnist/* -o compared.html

    For several runs, the default is ./report.html. An existing report is overwritten, any other file is not.
    """
    from zoo_core.tools.report.page import check_overwrite, write_report
    from zoo_core.tools.report.read import read_run

    folders = [run_called(run, "zoo report RUN_DIR") for run in runs]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise BadSetting("a run is given twice.", "Give each run once.")
    path = output or (folders[0] / NAME if len(folders) == 1 else Path(NAME))
    check_overwrite(path)
    catalog = open_catalog(registry)
    write_report([read_run(folder, catalog) for folder in folders], path)
    say(f"wrote {path}")
