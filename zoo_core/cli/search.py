"""``zoo search``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.plugins import warn_of_refused
from zoo_core.cli.table import same_columns, show
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.listing import LISTED
from zoo_core.registry.plugin_index_file import given_index
from zoo_core.terminal import say


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
        for row in _matching(catalog, kind, wanted)
    ]
    if not found and not as_json:
        more = (
            f", and `zoo plugins search {quote(word)}` searches plugins that are not installed" if given_index() else ""
        )
        say(f"nothing found for '{word}'; `zoo list` shows all recipes{more}")
    else:
        show(same_columns(found), as_json)
    warn_of_refused(catalog)


def _matching(catalog: Catalog, kind: str, wanted: str) -> list[dict[str, str]]:
    """The rows that contain the word; those of members of families only if their own name does, after the prefix."""
    rows = [row for row in catalog.rows(kind) if _contains(row, wanted)]
    listed = {(row["plugin"], row["name"]) for row in catalog.rows(kind)}
    members = [row for row in catalog.rows(kind, members=True) if (row["plugin"], row["name"]) not in listed]
    return rows + [row for row in members if wanted in _own_name(row["name"], wanted)]


def _contains(row: Mapping[str, str], wanted: str) -> bool:
    return any(wanted in value.lower() for key, value in row.items() if key != "file")


def _own_name(name: str, wanted: str) -> str:
    """The part of a member's name that is searched: all of it if the word contains a part of the prefix."""
    return name if "/" in wanted else name.partition("/")[2]
