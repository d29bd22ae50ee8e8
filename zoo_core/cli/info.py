"""``zoo info``"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zoo_core.catalog import Catalog
from zoo_core.cli import common_options
from zoo_core.cli.table import show


@click.command("info")
@click.argument("name")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(name: str, registry: tuple[Path, ...], as_json: bool) -> None:
    """What NAME stands for: a recipe, model, trainer or data set, its paper, licence and every setting."""
    found = Catalog(registry).info(name)
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return
    for number, (kind, described) in enumerate(found.items()):
        click.echo(("\n" if number else "") + f"{kind} {described['name']}: {described['summary']}")
        _show_facts(described)
        if described["settings"]:
            click.echo()
            show([_row(setting) for setting in described["settings"]], as_json=False)


def _show_facts(described: Mapping[str, Any]) -> None:
    for fact in ("plugin", "paper", "licence", "parameters", "class"):
        value = described.get(fact)
        if value:
            click.echo(f"  {fact.ljust(10)}  {value:,}" if isinstance(value, int) else f"  {fact.ljust(10)}  {value}")


def _row(setting: Mapping[str, Any]) -> dict[str, Any]:
    if "key" in setting:
        return {"setting": setting["key"], "value": _plain(setting["value"]), "set in": setting["set in"]}
    default = "(required)" if setting["required"] else _plain(setting["default"])
    return {
        "setting": setting["name"],
        "default": default,
        "type": setting["type"],
        "meaning": setting["help"],
    }


def _plain(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)
