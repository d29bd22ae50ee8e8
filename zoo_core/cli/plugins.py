"""``zoo plugins``"""

from __future__ import annotations

from typing import Any

import click

from zoo_core.catalog import Catalog
from zoo_core.cli import common_options
from zoo_core.cli.table import show


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(as_json: bool) -> None:
    """Installed plugins: where each comes from, what it brings, how its loading went."""
    show(rows(Catalog()), as_json)


def rows(here: Catalog) -> list[dict[str, Any]]:
    """A row for each installed plugin."""
    return [
        {
            "name": info.name,
            "distribution": f"{info.distribution} {info.version}",
            "state": info.state,
            "took": f"{info.milliseconds:.0f} ms",
            "brings": info.why
            if info.state == "broken"
            else _brings(here, info.name) + (f" ({info.why})" if info.why else ""),
        }
        for info in here.plugins.infos
    ]


def _brings(here: Catalog, plugin: str) -> str:
    names = [f"{entry.kind} {entry.name}" for entry in here.registry.entries if entry.plugin == plugin]
    names += [f"recipes of {path.name}" for owner, path in here.registry.recipe_files if owner == plugin]
    return ", ".join(names) or "hooks"
