"""``zoo plugins``"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option
from zoo_core.cli.plugins_index import index, search
from zoo_core.cli.table import show
from zoo_core.errors import UnknownName, did_you_mean
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.plugins import PluginInfo, installed_names
from zoo_core.registry.selection import read_disabled, write_disabled
from zoo_core.registry.unknown_name import explained
from zoo_core.terminal import say, say_text


@click.group("plugins", invoke_without_command=True)
@json_option
@common_options
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the installed plugins: their origin, what they register, and whether they loaded.

    In the environment, ZOO_PLUGINS=a,b loads only these plugins, and ZOO_DISABLE_PLUGINS=c all but these.
    """
    if context.invoked_subcommand is None:
        show(rows(open_catalog(warns=False)), as_json)


@command.command("show")
@click.argument("name")
@json_option
@common_options
def show_(name: str, as_json: bool) -> None:
    """Show details of a plugin.

    These are all names that it registers, and the traceback if it is broken.
    """
    catalog = open_catalog(warns=False)
    for info in _find(catalog, name):
        details = {
            **_row(catalog, info),
            "location": info.location,
            "names": _names(catalog, info.name),
            "traceback": info.traceback,
        }
        if as_json:
            say_text(json.dumps(details, indent=2))
            continue
        for key, value in details.items():
            for line in value if isinstance(value, list) else [value]:
                if key == "traceback":
                    say_text(f"\n{line}".rstrip())
                else:
                    say(f"{key.ljust(12)}  {line}")


@command.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@common_options
def disable(names: tuple[str, ...]) -> None:
    """Disable plugins.

    They are not imported until they are enabled.
    """
    _refuse_unknown(names)
    write_disabled([*read_disabled(), *names])
    say(f"disabled: {', '.join(names)}")


@command.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@common_options
def enable(names: tuple[str, ...]) -> None:
    """Enable plugins that were disabled."""
    disabled = read_disabled()
    _refuse_unknown([name for name in names if name not in disabled])
    write_disabled([name for name in disabled if name not in names])
    say(f"enabled: {', '.join(names)}")


command.add_command(search)
command.add_command(index)


def _refuse_unknown(names: Iterable[str]) -> None:
    """Raise UnknownName if a name is not that of a plugin. Plugins are not loaded, since one may prevent that."""
    installed = installed_names()
    for name in names:
        if name not in installed:
            _find(open_catalog(warns=False), name)


def warn_of_broken(catalog: Catalog) -> None:
    """Print a warning for each plugin that did not load, or that changed the process while it was loaded."""
    for info in catalog.plugins.broken:
        distribution = f"{info.distribution} {info.version}".strip()
        stop = "" if info.why.endswith((".", "!", "?")) else "."
        hint = info.hint.rstrip(".") or "Update it"
        warnings.warn(
            f"the plugin '{info.name}' ({distribution}) did not load: {info.why}{stop} "
            f"{hint}, or disable it: zoo plugins disable {info.name}",
            stacklevel=2,
        )
    for info in catalog.plugins.infos:
        if info.effects:
            distribution = f"{info.distribution} {info.version}".strip()
            warnings.warn(
                f"while it was loaded, the plugin '{info.name}' ({distribution}) {info.effects}. Ask its author to do "
                f"without it, or disable it: zoo plugins disable {info.name}",
                stacklevel=2,
            )


def warn_of_refused(catalog: Catalog) -> None:
    """Print a warning for each plugin that registers names that can't be used, those of families if they are known."""
    for (plugin, kind, why), names in _refused(catalog).items():
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        warnings.warn(
            f"the plugin '{plugin}' registers {kind}s whose names are left out: "
            f"{', '.join(map(repr, names[:3]))}{more}; {why}. Ask its author to rename them.",
            stacklevel=2,
        )


def _refused(catalog: Catalog) -> dict[tuple[str, str, str], list[str]]:
    """The names that were refused, by plugin, kind and reason."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for plugin, kind, name, why in catalog.registry.refused:
        found.setdefault((plugin, kind, why), []).append(name)
    return found


def rows(catalog: Catalog) -> list[dict[str, Any]]:
    """The rows of ``zoo plugins``."""
    return [_row(catalog, info) for info in catalog.plugins.infos]


def _row(catalog: Catalog, info: PluginInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "distribution": f"{info.distribution} {info.version}".strip(),
        "from": info.target,
        "state": info.state,
        "load time": "" if info.state == "disabled" else f"{info.milliseconds:.0f} ms",
        "provides": _provides(catalog, info),
    }


def _provides(catalog: Catalog, info: PluginInfo) -> str:
    if info.state != "loaded":
        return info.why
    names = _names(catalog, info.name)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    left_out = sum(refused.plugin == info.name for refused in catalog.registry.refused)
    notes = [*filter(None, [info.why, info.effects]), *([f"{left_out} left out"] if left_out else [])]
    return (shown or "hooks") + "".join(f" ({note})" for note in notes)


def _names(catalog: Catalog, plugin: str) -> list[str]:
    names = [f"{entry.kind} {entry.name}" for entry in catalog.registry.entries if entry.plugin == plugin]
    families = [family for family in catalog.registry.families if family.template.plugin == plugin]
    for family in families:
        size = "names not available" if family.problem else f"{len(family):,}"
        names.append(f"models {family.prefix} ({size})")
    names += [f"recipe {name}" for owner, name in catalog.recipes.names() if owner == plugin]
    return names + [f"weights {name}" for owner, name in catalog.weights if owner == plugin]


def _find(catalog: Catalog, name: str) -> list[PluginInfo]:
    found = [info for info in catalog.plugins.infos if info.name == name]
    if not found:
        known = [info.name for info in catalog.plugins.infos]
        unknown = UnknownName(f"no plugin is called '{name}'.", did_you_mean(name, known, "`zoo plugins` lists them."))
        raise explained(unknown, name, catalog.plugins)
    return found
