"""``zoo weights``"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.cli import common_options, open_catalog, say_error
from zoo_core.cli.names import WeightsName
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.publish import convert, publish
from zoo_core.cli.table import show
from zoo_core.errors import BadSetting, ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.terminal import say

if TYPE_CHECKING:
    from zoo_core.registry.weights_index import Entry

_names = click.argument("names", metavar="NAME...", nargs=-1, type=WeightsName())


@click.group("weights")
@common_options
def command() -> None:
    """List, download, verify and publish weights."""


for _command in (publish, convert):
    command.add_command(_command)


@command.command("list")
@registry_option
@json_option
@common_options
def list_(registry: tuple[Path, ...], as_json: bool) -> None:
    """List the published weights.

    The state is whether their file is on this machine.
    """
    catalog = open_catalog(registry)
    show([_row(catalog, plugin, name) for plugin, name in catalog.weights], as_json)


@command.command()
@click.argument("name", type=WeightsName())
@registry_option
@json_option
@common_options
def info(name: str, registry: tuple[Path, ...], as_json: bool) -> None:
    """Show the registry entry of NAME.

    If its file is on this machine, the metadata in it are shown, too.
    """
    from zoo_core.cli.info import show_described
    from zoo_core.weights.cache import local_path
    from zoo_core.weights.header import read_header

    catalog = open_catalog(registry)
    entry = catalog.published(name)
    found: dict[str, Any] = {"weights": catalog.describe_weights(entry)}
    if local_path(entry).is_file():
        found["file"] = read_header(local_path(entry)).describe()
    show_described(found, as_json)


@command.command()
@click.argument("name", type=WeightsName())
@registry_option
@common_options
def path(name: str, registry: tuple[Path, ...]) -> None:
    """Print the path of the file of NAME.

    It is downloaded if necessary.
    """
    from zoo_core.weights.cache import fetch

    catalog = open_catalog(registry)
    say(str(fetch(catalog.published(name), catalog)))


@command.command()
@_names
@click.option("--all", "everything", is_flag=True, help="Download all published weights.")
@registry_option
@common_options
def pull(names: tuple[str, ...], everything: bool, registry: tuple[Path, ...]) -> int:
    """Download weights, so that they load without a network.

    An interrupted download is resumed. With --all, an error does not stop the other downloads; the exit code is 1 then.
    """
    from zoo_core.weights.cache import fetch

    catalog, failed = open_catalog(registry), False
    if not everything:
        for entry in _named(catalog, names):
            say(f"{entry.name}: {fetch(entry, catalog)}")
        return 0
    for name, found in _all(catalog):
        try:
            say(f"{name}: {fetch(_valid(found), catalog)}")
        except ZooError as error:
            say_error(str(error))
            failed = True
    return int(failed)


@command.command()
@_names
@registry_option
@json_option
@common_options
def verify(names: tuple[str, ...], registry: tuple[Path, ...], as_json: bool) -> int:
    """Verify the checksums of weights, and that they load.

    By default, all weights on this machine are verified. The exit code is 1 if a file is bad.
    """
    catalog = open_catalog(registry)
    rows = []
    named = [(entry.name, entry) for entry in _named(catalog, names)] if names else _all(catalog)
    for name, found in named:
        why = ""
        try:
            entry = _valid(found)
            state = _state(entry)
            if state != "not downloaded" or names:
                state = _verified(catalog, entry)
        except ZooError as error:
            state, why = "bad", error.message
        rows.append({"name": name, "state": state, "why": why})
    show(rows, as_json)
    return 1 if any(row["state"] == "bad" for row in rows) else 0


@command.command()
@_names
@registry_option
@common_options
def remove(names: tuple[str, ...], registry: tuple[Path, ...]) -> None:
    """Delete downloaded weights.

    Files that are part of a plugin's package are not deleted.
    """
    from zoo_core.weights.cache import local_path
    from zoo_core.weights.cache import remove as remove_file

    for entry in _named(open_catalog(registry), names):
        if not entry.is_remote:
            raise BadSetting(
                f"weights '{entry.name}' are not a download: {local_path(entry)} belongs to {_owner(entry)}.",
                "Uninstall the plugin with pip." if entry.plugin else "Delete the file yourself.",
            )
        freed = remove_file(entry)
        say(f"{entry.name}: {f'{freed:,} bytes freed' if freed else 'not downloaded'}")


def _named(catalog: Catalog, names: Iterable[str]) -> list[Entry]:
    chosen = [catalog.published(name) for name in names]
    if not chosen:
        raise BadSetting("no weights are given.", "`zoo weights list` shows the names.")
    return chosen


def _all(catalog: Catalog) -> Iterator[tuple[str, Entry | ZooError]]:
    """The name of every entry that is not an alias, with the entry or the error in it."""
    for plugin, name in catalog.weights:
        try:
            entry = catalog.weights.get(plugin, name)
        except ZooError as error:
            yield name, error
        else:
            if entry.listed.alias is None:
                yield name, entry


def _valid(found: Entry | ZooError) -> Entry:
    if isinstance(found, ZooError):
        raise found
    return found


def _row(catalog: Catalog, plugin: str, name: str) -> dict[str, Any]:
    full = catalog.weights.name_of(plugin, name)
    try:
        listed = catalog.weights.get(plugin, name).listed
        state = f"is {listed.alias}" if listed.alias else _state(catalog.weights.get(plugin, name))
    except ZooError as error:
        return {"name": full, "model": "", "size": "", "license": "", "state": "broken", "metrics": error.message}
    size = f"{listed.size / 2**20:.1f} MiB" if listed.size else ""
    metrics = "  ".join(f"{key} {value:g}" for key, value in listed.metrics.items())
    if listed.deprecated:
        state = f"{state}, deprecated"
    row = {"name": full, "model": listed.model or "", "size": size, "license": listed.license or ""}
    return {**row, "state": state, "metrics": metrics}


def _state(entry: Entry) -> str:
    from zoo_core.weights.cache import local_path

    if local_path(entry).is_file():
        return "available"
    return "not downloaded" if entry.is_remote else "missing"


def _verified(catalog: Catalog, entry: Entry) -> str:
    from zoo_core.weights.cache import fetch, refuse_other_model
    from zoo_core.weights.header import read_header
    from zoo_core.weights.load import load

    file = fetch(entry, catalog, again=True)
    refuse_other_model(entry, read_header(file))
    model, _ = load(file, catalog)
    return f"good ({model.count_parameters():,} parameters)"


def _owner(entry: Entry) -> str:
    return f"the plugin '{entry.plugin}'" if entry.plugin else str(entry.file)
