"""``zoo export``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo_core.cli import common_options
from zoo_core.cli.names import WeightsName
from zoo_core.cli.table import show
from zoo_core.registry.catalog import Catalog
from zoo_core.training.signals import exits_on_interrupt

if TYPE_CHECKING:
    from zoo_core.tools.export.export import Exported


@click.command("export")
@click.argument("source", metavar="NAME|FILE|RUN_DIR", type=WeightsName())
@click.option("--format", type=click.Choice(["onnx", "torch-export"]), help="Otherwise by the ending of -o; else onnx.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file; otherwise NAME.onnx or NAME.pt2.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="The largest difference from the model that is allowed, as a share of the outputs where these exceed 1.",
)
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(
    source: str,
    format: str | None,
    output: Path | None,
    tolerance: float,
    registry: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write the network of the weights SOURCE for other programs, and compare what it gives with what the model gives.

    \b
    zoo export clsgan-mnist                              # clsgan-mnist.onnx
    zoo export unet-digit-scenes -o unet.pt2             # a program for torch.export.load

    The number of examples is left open, and height and width where the network takes any. If the file gives anything
    else than the model, that ends with exit code 1, and no file is left.
    """
    from zoo_core.tools.export.requirements import EXTENSIONS, check_free, check_packages, format_of

    format = format_of(output, format)
    check_packages(format)
    output = output or Path(f"{_name(source)}{EXTENSIONS[format]}")
    check_free(output)
    here = Catalog(registry)
    with exits_on_interrupt():
        from zoo_core.tools.export.export import export

        exported = export(source, here, format, output, tolerance)
    _say(exported, tolerance, as_json)


def _name(source: str) -> str:
    """The published name, a file's without its ending, or a run's recipe."""
    from zoo_core.runs.folder import RunFolder
    from zoo_core.weights.header import read_header

    path = Path(source)
    if path.is_dir() and RunFolder(path).weights.is_file():
        return str(read_header(RunFolder(path).weights).metadata.get("recipe", {}).get("name") or path.resolve().name)
    return path.stem if path.suffix == ".safetensors" else path.name


def _say(exported: Exported, tolerance: float, as_json: bool) -> None:
    if as_json:
        checks = [
            {"input": check.input, **check.differences, "allowed": tolerance * check.scale} for check in exported.checks
        ]
        told = {"file": str(exported.file), **exported.facts, "largest_difference": exported.largest, "checks": checks}
        click.echo(json.dumps({**told, "no_real_input": exported.skipped_real_input or None}, indent=2))
        return
    facts = exported.facts
    click.echo(f"{exported.file}: {exported.header.says()}")
    click.echo(f"  source   {exported.header.path}, sha256 {facts['sha256'][:12]}…")
    click.echo(f"  license  {facts['license'] or 'none stated'}")
    for name, kind in facts["inputs"].items():
        click.echo(f"  input    {name}: {kind}")
    for name, kind in facts["outputs"].items():
        click.echo(f"  output   {name}: {kind} for the example")
    click.echo(f"  open     {', '.join(facts['dynamic']) or 'nothing'}")
    for name, reason in facts["fixed"].items():
        click.echo(f"  fixed    {name}: {reason}")
    click.echo()
    rows = [
        {
            **{name: f"{value:.2g}" for name, value in check.differences.items()},
            "allowed": f"{tolerance * check.scale:.2g}",
            "largest difference on": check.input,
        }
        for check in exported.checks
    ]
    show(rows, as_json=False)
    if exported.skipped_real_input:
        click.echo(f"Checked on random input only: {exported.skipped_real_input}.")
    click.echo(f"The largest difference is {exported.largest:.2g}.")
