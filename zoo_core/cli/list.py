"""``zoo list``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.plugins import rows as plugin_rows
from zoo_core.cli.plugins import warn_of_broken
from zoo_core.cli.table import show


@click.command("list")
@click.argument("kind", default="recipes", metavar="[recipes|models|trainers|datasets|weights|plugins]")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--tag", help="Only what has this tag, such as gan.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(kind: str, registry: tuple[Path, ...], tag: str | None, as_json: bool) -> None:
    """Everything of a KIND, with one line on each. Recipes, unless you say another."""
    here = open_catalog(registry)
    rows = plugin_rows(here) if kind == "plugins" else here.rows(kind, tag)
    if not as_json:  # the tags are many words, and most people look for none
        rows = [{key: value for key, value in row.items() if key != "tags"} for row in rows]
    show(rows, as_json)
    if kind != "plugins":
        warn_of_broken(here)
