"""``zoo plugins search`` and ``zoo plugins index``"""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option
from zoo_core.cli.table import show
from zoo_core.errors import BadFile, BadSetting, UnknownName, did_you_mean
from zoo_core.registry.plugin_index import FORMAT, KnownPlugin, PluginIndex, parse
from zoo_core.registry.plugin_index_entry import entries_of
from zoo_core.registry.plugin_index_file import VARIABLE, given_index, read_index, read_without_network
from zoo_core.terminal import say, say_text

_SECONDS = 20.0  # for a download that the user asks for
_SHOWN = 4


@click.command()
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option("--index", "source", metavar="PATH|URL", help=f"The index; by default that in {VARIABLE}.")
@json_option
@common_options
def search(words: tuple[str, ...], source: str | None, as_json: bool) -> None:
    """Search an index of known plugins, installed or not.

    Each WORD is looked for in names of distributions, plugins and what they bring, and in summaries; without one, all
    are listed. An index at a URL is downloaded, and a copy is kept.
    """
    word, index = " ".join(words), _read(source)
    found = index.search(word)
    if as_json:
        show([_details(plugin) for plugin in found], as_json=True)
    elif not found:
        say(f"nothing found for '{word}' in {index.source}, which has {_count(len(index.plugins), 'plugin')}")
    else:
        show([_row(plugin) for plugin in found], as_json=False)


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@common_options
def index(names: tuple[str, ...]) -> None:
    """Write the index of installed plugins.

    It is JSON, for a file of your own or for that of a community: what they register, and what installs them.

    \b
    zoo plugins index nerf > plugins.json
    """
    catalog = open_catalog(warns=False)
    for name in names:
        if name not in (known := [info.name for info in catalog.plugins.infos if info.distribution != "your file"]):
            hint = did_you_mean(name, known, "`zoo plugins` lists them.")
            raise UnknownName(f"no installed plugin is called '{name}'.", hint)
    entries = [plugin.as_json() for plugin in entries_of(catalog, names)]
    text = json.dumps({"format": FORMAT, "plugins": entries}, indent=2, ensure_ascii=False)
    parse(text.encode(), f"of {', '.join(names)}")  # what the metadata state may not be suitable
    say_text(text)


def _read(source: str | None) -> PluginIndex:
    """The index that ``--index`` names, or the user's."""
    if source:
        try:
            return read_index(source, _SECONDS, refresh=True)
        except BadFile as error:  # whose hint is that of the environment variable
            hint = "Give the path or the https:// address of another index." if VARIABLE in (error.hint or "") else None
            raise BadFile(error.message, hint or error.hint) from error
    if given := given_index():
        return read_index(given, _SECONDS, refresh=True)
    raise BadSetting(
        "no index of plugins is given.", f"Add --index PATH, or set {VARIABLE} to a path or an https:// address."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def warn_if_known(match: str) -> None:
    """Print a warning if the user's index has names for ``match``, a prefix or a pattern. It is not downloaded."""
    source = given_index()
    beginning = re.split(r"[*?[]", match)[0]
    try:
        index = read_without_network(source) if source and beginning else None
    except BadFile as error:
        warnings.warn(error.message, stacklevel=2)
        return
    if index is None:
        return
    for plugin in index.starting(beginning):
        if not plugin.is_satisfied:
            by = f"According to the plugin index {index.source}, '{plugin.distribution}' brings it"
            warnings.warn(f"nothing installed matches '{match}'. {by}: {plugin.install}", stacklevel=2)


def _details(plugin: KnownPlugin) -> dict[str, Any]:
    return {"distribution": plugin.distribution, "installed": plugin.installed, "install": plugin.install} | {
        "summary": "",
        "homepage": "",
        "plugins": [],
        "provides": {},
        **plugin.as_json(),
    }


def _row(plugin: KnownPlugin) -> dict[str, str]:
    names = [name for brought in plugin.provides.values() for name in brought]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return {
        "distribution": plugin.distribution,
        "installed": plugin.installed or "",
        "brings": ", ".join(dict.fromkeys(names[:_SHOWN])) + more,
        "summary": plugin.summary,
        "install": "" if plugin.is_satisfied else plugin.install,
    }
