"""``zoo list``"""

from __future__ import annotations

import fnmatch
from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.plugins import rows as plugin_rows
from zoo_core.cli.plugins import warn_of_refused
from zoo_core.cli.plugins_index import warn_if_known
from zoo_core.cli.table import same_columns, show
from zoo_core.registry.listing import LISTED


@click.command("list")
@click.argument("kind", default="recipes", metavar=f"[{'|'.join((*LISTED, 'plugins'))}]")
@click.argument("match", default="", metavar="[PREFIX|PATTERN]")
@registry_option
@click.option("--tag", help="Show only entries with this tag, such as gan.")
@json_option
@common_options
def command(kind: str, match: str, registry: tuple[Path, ...], tag: str | None, as_json: bool) -> None:
    """List everything of one kind, by default the recipes, with a summary in one line.

    With PREFIX, or with a PATTERN that contains `*`, `?` or `[]`, list the names that begin with it or match it. A
    family of models, such as timm/, has one line otherwise.

    \b
    zoo list models timm/
    zoo list models 'timm/*vit*'
    """
    catalog = open_catalog(registry, warns=kind != "plugins")
    rows = plugin_rows(catalog) if kind == "plugins" else catalog.rows(kind, tag, members=bool(match))
    if match:
        pattern = match if set(match) & set("*?[") else f"{match}*"
        rows = [row for row in rows if fnmatch.fnmatchcase(row["name"], pattern)]
    if not as_json:  # the tags would take most of the line, and are rarely needed
        rows = [{key: row[key] for key in row if key != "tags"} for row in rows]
    show(same_columns(rows), as_json)
    if match and not rows:
        warn_if_known(match)
    if kind != "plugins":
        warn_of_refused(catalog)
