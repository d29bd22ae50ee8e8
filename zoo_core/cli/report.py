"""``zoo report``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options
from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.paths import run_called

NAME = "report.html"


@click.command("report")
@click.argument("runs", metavar="RUN_DIR|last...", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help=f"The file; otherwise {NAME} in its folder.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@common_options
def command(runs: tuple[str, ...], output: Path | None, registry: tuple[Path, ...]) -> None:
    """Write one HTML file on a run, or on several beside each other. It needs no network and no other file.

    \b
    zoo report last
    zoo report runs/clsgan-mnist/* -o compared.html

    Of several runs it is report.html in the working folder. A report is written over; another file is not.
    """
    from zoo_core.tools.report.page import check_overwrite, write_report
    from zoo_core.tools.report.read import read_run

    folders = [run_called(word, "zoo report RUN_DIR") for word in runs]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise BadSetting("a run is named twice.", "Name each one once.")
    place = output or (folders[0] / NAME if len(folders) == 1 else Path(NAME))
    check_overwrite(place)
    here = Catalog(registry)
    write_report([read_run(folder, here) for folder in folders], place)
    click.echo(f"wrote {place}")
