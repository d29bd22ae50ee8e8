"""``zoo search``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.plugins import warn_of_broken
from zoo_core.cli.table import show
from zoo_core.registry.catalog import LISTED


@click.command("search")
@click.argument("word")
@registry_option
@json_option
@common_options
def command(word: str, registry: tuple[Path, ...], as_json: bool) -> None:
    """Search the names, plugins, tags and summaries of recipes, components and weights for WORD."""
    catalog, wanted = open_catalog(registry), word.lower()
    found = [
        {"kind": kind.removesuffix("s") if kind != "weights" else kind, **row}
        for kind in LISTED
        for row in catalog.rows(kind)
        if any(wanted in str(value).lower() for value in row.values())
    ]
    if not found and not as_json:
        click.echo(f"nothing found for '{word}'; `zoo list` shows all recipes")
    else:
        show(found, as_json)
    warn_of_broken(catalog)
