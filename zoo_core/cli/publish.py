"""``zoo weights publish`` and ``zoo weights convert``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import registry_option
from zoo_core.config.arguments import as_words, split_arguments
from zoo_core.config.naming import file_name
from zoo_core.terminal import say, say_text


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--license", "license", required=True, help="SPDX identifier of the license.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File; by default NAME.safetensors.")
@click.option("--to", help="Also upload to the Hugging Face Hub, as hf://owner/repo.")
@click.option("--name", help="Name in the registry; by default the recipe's.")
@click.option("--dtype", help="Store as float16 or bfloat16, and evaluate again.")
@click.option("--summary", default="", help="Description in one line.")
@registry_option
@common_options
def publish(
    run: Path,
    license: str,
    output: Path | None,
    to: str | None,
    name: str | None,
    dtype: str | None,
    summary: str,
    registry: tuple[Path, ...],
) -> None:
    """Write the weights of a finished RUN to a file.

    A model card is written beside it, and the entry for a registry.yaml is printed.

    \b
    zoo weights publish runs/clsgan-mnist/2026-11-24T02-15-33 --license Apache-2.0
    """
    catalog = open_catalog(registry)
    from zoo_core.tools import publish as publishing
    from zoo_core.tools import upload

    if to:
        upload.read_target(to)
    name = name or publishing.name_of(run)
    output = output or Path(f"{file_name(name)}.safetensors")
    published = publishing.publish(run, license, output, catalog, name=name, dtype=dtype, summary=summary)
    for file in (published.weights, published.card, published.preview):
        if file:
            say(f"wrote {file}", err=True)
    if to:
        published.entry["location"] = upload.upload(published, to)
    say_text(published.as_yaml(name))


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--model", required=True, help="Registered name of the model.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The new .safetensors file.")
@click.option("--key", default="", help="Key of the tensors in the file, such as state_dict.")
@registry_option
@common_options
def convert(
    source: Path, settings: tuple[str, ...], model: str, output: Path, key: str, registry: tuple[Path, ...]
) -> None:
    """Convert weights of another program.

    SOURCE is a pickle (.pt, .pth, .bin, .ckpt) or a safetensors file. A pickle is read in a separate process, and only
    tensors are taken from it.

    \b
    zoo weights convert unet.pt --model unet in_channels=1 -o unet.safetensors
    """
    catalog = open_catalog(registry)
    from zoo_core.tools.convert import convert as convert_file

    say(
        f"wrote {convert_file(source, output, model, as_words(split_arguments(settings)), catalog, key)}",
        err=True,
    )
