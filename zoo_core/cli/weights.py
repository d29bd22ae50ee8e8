"""``zoo weights``"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.cli import common_options, say_error
from zoo_core.cli.names import WeightsName
from zoo_core.cli.table import show
from zoo_core.config.overrides import parse_words
from zoo_core.errors import BadSetting, ZooError
from zoo_core.registry.catalog import Catalog
from zoo_core.training.signals import exits_on_interrupt

if TYPE_CHECKING:
    from zoo_core.registry.weights_index import Entry

_registry = click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_names = click.argument("names", metavar="NAME...", nargs=-1, type=WeightsName())


@click.group("weights")
@common_options
def command() -> None:
    """Trained models by name: what there is, where it lies, and how to publish your own."""


@command.command("list")
@_registry
@_json
@common_options
def list_(registry: tuple[Path, ...], as_json: bool) -> None:
    """Every published model: its size, license, whether it is on this machine, and its figures."""
    here = Catalog(registry)
    show([_row(here, plugin, name) for plugin, name in here.weights], as_json)


@command.command()
@click.argument("name", type=WeightsName())
@_registry
@_json
@common_options
def info(name: str, registry: tuple[Path, ...], as_json: bool) -> None:
    """What the registry says of NAME, and what its file says if it is on this machine."""
    from zoo_core.cli.info import show_described
    from zoo_core.weights.cache import place
    from zoo_core.weights.header import read_header

    here = Catalog(registry)
    entry = here.weights.find(name)
    found: dict[str, Any] = {"weights": here.describe_weights(entry)}
    if place(entry).is_file():
        found["file"] = read_header(place(entry)).described()
    show_described(found, as_json)


@command.command()
@click.argument("name", type=WeightsName())
@_registry
@common_options
def path(name: str, registry: tuple[Path, ...]) -> None:
    """Where the file of NAME lies. It is fetched if it is not here."""
    from zoo_core.weights.cache import fetch

    here = Catalog(registry)
    click.echo(fetch(here.weights.find(name), here))


@command.command()
@_names
@click.option("--all", "everything", is_flag=True, help="All that there are.")
@_registry
@common_options
def pull(names: tuple[str, ...], everything: bool, registry: tuple[Path, ...]) -> int:
    """Fetch NAMEs, so that they load without a network. What broke off is gone on with.

    With --all, one that can't be had does not keep the others; the exit code is 1 then.
    """
    from zoo_core.weights.cache import fetch

    here, failed = Catalog(registry), False
    with exits_on_interrupt():
        if not everything:
            for entry in _named(here, names):
                click.echo(f"{entry.name}: {fetch(entry, here)}")
            return 0
        for name, found in _all(here):
            try:
                click.echo(f"{name}: {fetch(_sound(found), here)}")
            except ZooError as error:
                say_error(str(error))
                failed = True
    return int(failed)


@command.command()
@_names
@_registry
@_json
@common_options
def verify(names: tuple[str, ...], registry: tuple[Path, ...], as_json: bool) -> int:
    """Read the files of NAMEs anew, or of all that are on this machine, and say which are as published.

    Ends with exit code 1 if one is not.
    """
    here = Catalog(registry)
    rows = []
    named = [(entry.name, entry) for entry in _named(here, names)] if names else _all(here)
    for name, found in named:
        why = ""
        try:
            entry = _sound(found)
            state = _state(entry)
            if state != "to be fetched" or names:
                state = _verified(here, entry)
        except ZooError as error:
            state, why = "bad", error.message
        rows.append({"name": name, "state": state, "why": why})
    show(rows, as_json)
    return 1 if any(row["state"] == "bad" for row in rows) else 0


@command.command()
@_names
@_registry
@common_options
def remove(names: tuple[str, ...], registry: tuple[Path, ...]) -> None:
    """Delete the fetched files of NAMEs. What a plugin brings in its own package stays."""
    from zoo_core.weights.cache import place
    from zoo_core.weights.cache import remove as remove_file

    for entry in _named(Catalog(registry), names):
        if not entry.is_remote:
            raise BadSetting(
                f"weights '{entry.name}' were not fetched: {place(entry)} belongs to {_whose(entry)}.",
                f"pip uninstall takes a plugin's away.{' It is yours: delete it.' if not entry.plugin else ''}",
            )
        freed = remove_file(entry)
        click.echo(f"{entry.name}: {f'{freed:,} bytes freed' if freed else 'was not here'}")


@command.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--license", "license", required=True, help="Under which others may use them: an SPDX identifier.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file; otherwise NAME.safetensors.")
@click.option("--to", help="hf://owner/repo: put them on the Hugging Face hub as well.")
@click.option("--name", help="The name in the registry; otherwise the recipe's.")
@click.option("--dtype", help="Store in float16 or bfloat16; the figures are measured anew.")
@click.option("--summary", default="", help="One line on them.")
@common_options
def publish(
    run: Path,
    license: str,
    output: Path | None,
    to: str | None,
    name: str | None,
    dtype: str | None,
    summary: str,
) -> None:
    """Make a weights file of the finished RUN, with a card, and print the entry for a registry.yaml.

    \b
    zoo weights publish runs/clsgan-mnist/2026-11-24T02-15-33 --license Apache-2.0
    """
    here = Catalog()
    with exits_on_interrupt():
        from zoo_core.tools import publish as publishing
        from zoo_core.tools import upload

        if to:
            upload.read_target(to)
        name = name or publishing.name_of(run)
        output = output or Path(f"{name}.safetensors")
        published = publishing.publish(run, license, output, here, name=name, dtype=dtype, summary=summary)
        for file in (published.weights, published.card, published.picture):
            if file:
                click.echo(f"wrote {file}", err=True)
        if to:
            published.entry["location"] = upload.upload(published, to)
    click.echo(published.as_yaml(name), nl=False)


@command.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--model", required=True, help="The registered name of the model they are for.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The new .safetensors file.")
@click.option("--key", default="", help="Where in the file the tensors are, such as state_dict.")
@common_options
def convert(source: Path, settings: tuple[str, ...], model: str, output: Path, key: str) -> None:
    """Make a weights file of SOURCE, a pickle (.pt, .pth, .bin, .ckpt) or a safetensors file from elsewhere.

    A pickle is read in a process of its own, and nothing but tensors is taken from it.

    \b
    zoo weights convert unet.pt --model unet in_channels=1 -o unet.safetensors
    """
    here = Catalog()
    with exits_on_interrupt():
        from zoo_core.tools.convert import convert as convert_file

        click.echo(f"wrote {convert_file(source, output, model, parse_words(settings), here, key)}", err=True)


def _named(here: Catalog, names: Iterable[str]) -> list[Entry]:
    chosen = [here.weights.find(name) for name in names]
    if not chosen:
        raise BadSetting("no weights are named.", "`zoo weights list` shows what there is.")
    return chosen


def _all(here: Catalog) -> Iterator[tuple[str, Entry | ZooError]]:
    """Every entry that is no alias, or what is wrong with it."""
    for plugin, name in here.weights:
        try:
            entry = here.weights.get(plugin, name)
        except ZooError as error:
            yield name, error
        else:
            if entry.listed.alias is None:
                yield name, entry


def _sound(found: Entry | ZooError) -> Entry:
    if isinstance(found, ZooError):
        raise found
    return found


def _row(here: Catalog, plugin: str, name: str) -> dict[str, Any]:
    try:
        listed = here.weights.get(plugin, name).listed
        state = f"is {listed.alias}" if listed.alias else _state(here.weights.get(plugin, name))
    except ZooError as error:
        return {"name": name, "model": "", "size": "", "license": "", "state": "broken", "metrics": error.message}
    size = f"{listed.size / 2**20:.1f} MiB" if listed.size else ""
    metrics = "  ".join(f"{key} {value:g}" for key, value in listed.metrics.items())
    if listed.deprecated:
        state = f"{state}, deprecated"
    row = {"name": name, "model": listed.model or "", "size": size, "license": listed.license or ""}
    return {**row, "state": state, "metrics": metrics}


def _state(entry: Entry) -> str:
    from zoo_core.weights.cache import place

    if place(entry).is_file():
        return "here"
    return "to be fetched" if entry.is_remote else "missing"


def _verified(here: Catalog, entry: Entry) -> str:
    from zoo_core.weights.cache import fetch, refuse_other_model
    from zoo_core.weights.header import read_header
    from zoo_core.weights.load import load

    file = fetch(entry, here, again=True)
    refuse_other_model(entry, read_header(file))
    model, _ = load(file, here)
    return f"good ({sum(one.numel() for one in model.parameters()):,} parameters)"


def _whose(entry: Entry) -> str:
    return f"the plugin '{entry.plugin}'" if entry.plugin else str(entry.file)
