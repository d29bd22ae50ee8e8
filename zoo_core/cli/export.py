"""``zoo export``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import WeightsName
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.table import show
from zoo_core.config.naming import file_name
from zoo_core.terminal import say, say_text

if TYPE_CHECKING:
    from zoo_core.tools.export.export import Exported


@click.command("export")
@click.argument("source", metavar="NAME|FILE|RUN_DIR", type=WeightsName())
@click.option(
    "--format", type=click.Choice(["onnx", "torch-export"]), help="File format; by default that of -o, else onnx."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File; by default NAME.onnx or NAME.pt2.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="Largest allowed difference from the model's outputs, relative to them if they exceed 1.",
)
@registry_option
@json_option
@common_options
def command(
    source: str,
    format: str | None,
    output: Path | None,
    tolerance: float,
    registry: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Export a network to ONNX or torch.export, and compare its outputs with those of the model.

    \b
    zoo export clsgan-mnist                              # clsgan-mnist.onnx
    zoo export unet-digit-scenes -o unet.pt2             # a program for torch.export.load

    The batch size is dynamic, and so are height and width if the network supports it. If the outputs differ, the exit
    code is 1 and no file is written.
    """
    from zoo_core.tools.export.requirements import EXTENSIONS, check_free, check_packages, format_of

    format = format_of(output, format)
    check_packages(format)
    output = output or Path(f"{_name(source)}{EXTENSIONS[format]}")
    check_free(output)
    catalog = open_catalog(registry)
    from zoo_core.tools.export.export import export

    exported = export(source, catalog, format, output, tolerance)
    _print(exported, tolerance, as_json)


def _name(source: str) -> str:
    """The name of published weights, of a file without its suffix, or of a run's recipe."""
    from zoo_core.runs.folder import RunFolder
    from zoo_core.weights.header import read_header

    path = Path(source)
    if path.is_dir() and RunFolder(path).weights.is_file():
        recipe = read_header(RunFolder(path).weights).metadata.get("recipe", {})
        return file_name(str(recipe.get("name") or path.resolve().name))
    if path.suffix == ".safetensors":
        return path.stem
    return path.name if path.exists() else file_name(source)


def _print(exported: Exported, tolerance: float, as_json: bool) -> None:
    if as_json:
        checks = [
            {"input": check.input, **check.differences, "allowed": tolerance * check.scale} for check in exported.checks
        ]
        result = {"file": str(exported.file), **exported.facts, "largest_difference": exported.largest}
        result |= {"checks": checks, "no_real_input": exported.skipped_real_input or None}
        say_text(json.dumps(result, indent=2))
        return
    facts = exported.facts
    say(f"{exported.file}: {exported.header.summary()}")
    say(f"  source   {exported.header.path}, sha256 {facts['sha256'][:12]}…")
    say(f"  license  {facts['license'] or 'none stated'}")
    for name, kind in facts["inputs"].items():
        say(f"  input    {name}: {kind}")
    for name, kind in facts["outputs"].items():
        say(f"  output   {name}: {kind} for the example")
    say(f"  dynamic  {', '.join(facts['dynamic']) or 'none'}")
    for name, reason in facts["fixed"].items():
        say(f"  fixed    {name}: {reason}")
    say()
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
        say(f"Checked on random input only: {exported.skipped_real_input}.")
    say(f"The largest difference is {exported.largest:.2g}.")
