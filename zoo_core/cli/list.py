"""``zoo list``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.plugins import rows as plugin_rows
from zoo_core.cli.plugins import warn_of_broken
from zoo_core.cli.table import show
from zoo_core.registry.catalog import LISTED


@click.command("list")
@click.argument("kind", default="recipes", metavar=f"[{'|'.join((*LISTED, 'plugins'))}]")
@registry_option
@click.option("--tag", help="Show only entries with this tag, such as gan.")
@json_option
@common_options
def command(kind: str, registry: tuple[Path, ...], tag: str | None, as_json: bool) -> None:
    """List everything of one kind, by default the recipes, with a summary in one line."""
    catalog = open_catalog(registry)
    rows = plugin_rows(catalog) if kind == "plugins" else catalog.rows(kind, tag)
    if not as_json:  # the tags would take most of the line, and are rarely needed
        rows = [{key: value for key, value in row.items() if key != "tags"} for row in rows]
    show(rows, as_json)
    if kind != "plugins":
        warn_of_broken(catalog)
