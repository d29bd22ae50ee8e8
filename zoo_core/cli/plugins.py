"""``zoo plugins``"""

from __future__ import annotations

import json
import warnings
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.table import show
from zoo_core.errors import UnknownName, did_you_mean
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.plugins import PluginInfo
from zoo_core.registry.selection import read_disabled, write_disabled


@click.group("plugins", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Installed plugins: where each comes from, what it brings, how its loading went.

    ZOO_PLUGINS=a,b takes only these, ZOO_DISABLE_PLUGINS=c all but this, for one command.
    """
    if context.invoked_subcommand is None:
        show(rows(open_catalog()), as_json)


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def show_(name: str, as_json: bool) -> None:
    """Everything about the plugin NAME: every name it brings, and the traceback if it is broken."""
    here = open_catalog()
    for info in _called(here, name):
        told = {
            **_row(here, info),
            "lies in": info.location,
            "names": _names(here, info.name),
            "traceback": info.traceback,
        }
        if as_json:
            click.echo(json.dumps(told, indent=2))
            continue
        for key, value in told.items():
            for line in value if isinstance(value, list) else [value]:
                click.echo(f"{key.ljust(12)}  {line}" if key != "traceback" else f"\n{line}".rstrip())


@command.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@common_options
def disable(names: tuple[str, ...]) -> None:
    """From now on, do not even import the plugins NAME."""
    here = open_catalog()
    for name in names:
        _called(here, name)
    write_disabled([*read_disabled(), *names])
    click.echo(f"disabled: {', '.join(names)}")


@command.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@common_options
def enable(names: tuple[str, ...]) -> None:
    """Take the plugins NAME in again."""
    disabled = read_disabled()
    for name in names:
        if name not in disabled:
            _called(open_catalog(), name)
    write_disabled([name for name in disabled if name not in names])
    click.echo(f"enabled: {', '.join(names)}")


def warn_of_broken(here: Catalog) -> None:
    """A line on stderr for each plugin that did not load."""
    for info in here.plugins.broken:
        whose = f"{info.distribution} {info.version}".strip()
        stop = "" if info.why.endswith((".", "!", "?")) else "."
        hint = info.hint.rstrip(".") or "Update it"
        warnings.warn(
            f"the plugin '{info.name}' ({whose}) did not load: {info.why}{stop} "
            f"{hint}, or leave it out: zoo plugins disable {info.name}",
            stacklevel=2,
        )


def rows(here: Catalog) -> list[dict[str, Any]]:
    """A row for each installed plugin."""
    return [_row(here, info) for info in here.plugins.infos]


def _row(here: Catalog, info: PluginInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "distribution": f"{info.distribution} {info.version}".strip(),
        "from": info.target,
        "state": info.state,
        "took": "" if info.state == "disabled" else f"{info.milliseconds:.0f} ms",
        "brings": _brings(here, info),
    }


def _brings(here: Catalog, info: PluginInfo) -> str:
    if info.state != "loaded":
        return info.why
    names = _names(here, info.name)
    told = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return (told or "hooks") + (f" ({info.why})" if info.why else "")


def _names(here: Catalog, plugin: str) -> list[str]:
    names = [f"{entry.kind} {entry.name}" for entry in here.registry.entries if entry.plugin == plugin]
    names += [f"recipe {name}" for owner, name in here.recipes.names() if owner == plugin]
    return names + [f"weights {name}" for owner, name in here.weights if owner == plugin]


def _called(here: Catalog, name: str) -> list[PluginInfo]:
    found = [info for info in here.plugins.infos if info.name == name]
    if not found:
        known = [info.name for info in here.plugins.infos]
        raise UnknownName(f"no plugin is called '{name}'.", did_you_mean(name, known, "`zoo plugins` shows all."))
    return found
