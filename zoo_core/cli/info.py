"""``zoo info``"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.table import show
from zoo_core.terminal import say, say_text


@click.command("info")
@click.argument("name", metavar="NAME|FILE")
@registry_option
@json_option
@common_options
def command(name: str, registry: tuple[Path, ...], as_json: bool) -> None:
    """Show what NAME refers to: a recipe, component or weights, with its paper, license and settings.

    A component is a model, trainer, dataset, task, logger, optimizer or schedule.

    For a weights FILE, show its metadata; the weights are not loaded.
    """
    if os.path.isfile(name):  # Path.is_file raises if the name is too long
        from zoo_core.weights.header import read_header

        show_described({"file": read_header(Path(name)).describe()}, as_json)
    else:
        show_described(open_catalog(registry).info(name), as_json)


def show_described(found: Mapping[str, Any], as_json: bool) -> None:
    """Print what a name refers to, one kind after the other."""
    if as_json:
        say_text(json.dumps(found, indent=2, default=str))
        return
    for number, (kind, described) in enumerate(found.items()):
        say(*[""] * bool(number), f"{kind} {described['name']}: {described['summary']}")
        _show_facts(described)
        for rows in _tables(described["settings"]):
            say()
            show(rows, as_json=False)
        if described.get("metrics"):
            say()
            shown = {key: value for key, value in described["metrics"].items() if "/" not in key}
            show([{"metric": key, "value": f"{value:.5g}"} for key, value in shown.items()], as_json=False)


def _show_facts(described: Mapping[str, Any]) -> None:
    for fact, value in described.items():
        if value and fact not in ("name", "summary", "settings", "metrics"):
            say(f"  {fact.ljust(10)}  {value:,}" if isinstance(value, int) else f"  {fact.ljust(10)}  {value}")


def _tables(settings: Sequence[Mapping[str, Any]]) -> Iterator[list[dict[str, str]]]:
    """A table of the settings that a file sets, with their origin, and a table of those with default values."""
    if written := [setting for setting in settings if setting.get("set in")]:
        documented = any("type" in setting for setting in written)
        yield [_written(setting, documented) for setting in written]
    if unset := [setting for setting in settings if not setting.get("set in")]:
        yield [{"setting": _name(setting), **_explained(setting)} for setting in unset]


def _written(setting: Mapping[str, Any], documented: bool) -> dict[str, str]:
    row = {"setting": _name(setting), "value": _plain(setting["value"]), "set in": setting["set in"]}
    return row | (_explained(setting) if documented else {})


def _explained(setting: Mapping[str, Any]) -> dict[str, str]:
    if "type" not in setting:  # a component's name
        return {"default": "", "type": "", "meaning": ""}
    default = "(required)" if setting["required"] else _plain(setting["default"])
    return {"default": default, "type": setting["type"], "meaning": setting["help"]}


def _name(setting: Mapping[str, Any]) -> str:
    return str(setting["key"] if "key" in setting else setting["name"])


def _plain(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)
