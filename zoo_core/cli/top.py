"""``zoo top``"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from zoo_core.cli import common_options
from zoo_core.errors import BadSetting
from zoo_core.runs.paths import RUNS
from zoo_core.terminal import console, say, say_text


@click.command("top")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Print the table once and exit, as in a pipe.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON and exit.")
@common_options
def command(folders: tuple[Path, ...], once: bool, as_json: bool) -> None:
    """Monitor the runs in and below each FOLDER, by default ./runs. Press q to quit.

    \b
    zoo top
    zoo top sweeps /data/runs --once
    """
    from zoo_core.tools.top.read import runs_in

    for folder in folders:
        if not folder.is_dir():
            raise BadSetting(f"{folder} is not a folder.", f"`zoo top` without arguments shows the runs in ./{RUNS}.")
    roots = folders or (RUNS,)
    if as_json:
        say_text(json.dumps([asdict(run) for run in runs_in(roots)], indent=2))
        return
    screen = console()
    if not once and screen.is_terminal:
        from zoo_core.tools.top.live import watch

        watch(lambda: runs_in(roots), screen)
        return
    runs = runs_in(roots)
    if not runs:
        say(f"no runs in {', '.join(map(str, roots))}")
        return
    from zoo_core.tools.top.table import table

    screen = screen if screen.is_terminal else console(width=200)
    screen.print(table(runs))
