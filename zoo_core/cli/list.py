"""``zoo list``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.catalog import Catalog
from zoo_core.cli import common_options
from zoo_core.cli.plugins import rows as plugin_rows
from zoo_core.cli.table import show


@click.command("list")
@click.argument("kind", default="recipes", metavar="[recipes|models|trainers|datasets|weights|plugins]")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(kind: str, registry: tuple[Path, ...], as_json: bool) -> None:
    """Everything of a KIND, with one line on each. Recipes, unless you say another."""
    here = Catalog(registry)
    show(plugin_rows(here) if kind == "plugins" else here.rows(kind), as_json)
    if here.plugins.broken and not as_json and kind != "plugins":
        names = ", ".join(info.name for info in here.plugins.broken)
        click.echo(f"warning: some plugins did not load: {names}; see `zoo plugins`", err=True)
