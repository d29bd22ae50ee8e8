"""``zoo search``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.plugins import warn_of_broken
from zoo_core.cli.table import show
from zoo_core.registry.catalog import LISTED


@click.command("search")
@click.argument("word")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(word: str, registry: tuple[Path, ...], as_json: bool) -> None:
    """Every recipe, model, trainer, data set and weights with WORD in its name, plugin, tags or summary."""
    here, wanted = open_catalog(registry), word.lower()
    found = [
        {"kind": kind.removesuffix("s") if kind != "weights" else kind, **row}
        for kind in LISTED
        for row in here.rows(kind)
        if any(wanted in str(value).lower() for value in row.values())
    ]
    if not found and not as_json:
        click.echo(f"nothing has to do with '{word}'; `zoo list` shows all recipes")
    else:
        show(found, as_json)
    warn_of_broken(here)
