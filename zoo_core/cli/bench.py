"""``zoo bench``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.cli import common_options
from zoo_core.cli.names import RecipeName
from zoo_core.cli.sizes import PictureSize
from zoo_core.cli.table import show
from zoo_core.errors import BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.training.signals import exits_on_interrupt

if TYPE_CHECKING:
    from zoo_core.tools.bench.measurement import Bench, Measurement

DTYPES = ["float32", "bfloat16", "float16"]


@click.command("bench")
@click.argument("name", metavar="RECIPE|MODEL|WEIGHTS|RUN_DIR", type=RecipeName())
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--train/--predict", "trains", default=None, help="Otherwise a recipe is trained, and all else predicts.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="Of each."
)
@click.option("--batch-size", type=click.IntRange(1), help="Examples of a forward pass; otherwise as the model says.")
@click.option("--size", type=PictureSize(), help="Height x width of its pictures, such as 480x560.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Of a model that predicts; otherwise float32.")
@click.option("--device", help="cpu, cuda, cuda:1, mps, xpu; otherwise an accelerator if there is one.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(
    name: str,
    words: tuple[str, ...],
    trains: bool | None,
    seconds: float,
    batch_size: int | None,
    size: tuple[int, int] | None,
    dtype: str | None,
    device: str | None,
    registry: tuple[Path, ...],
    as_json: bool,
) -> None:
    """How fast NAME is on this machine, and what it takes: a recipe's training, or a model's predictions.

    \b
    zoo bench clsgan-mnist                          # steps of its training
    zoo bench clsgan-mnist run.batch_size=512
    zoo bench unet-digit-scenes --predict --batch-size 8 --size 128x128
    zoo bench unet base_channels=16                 # a model with its default settings, or others

    Nothing is kept, and nothing is fetched for a recipe's model: a speed does not depend on the weights.
    """
    here = Catalog(registry)
    if trains is None:
        trains = name in here.recipes
    if trains:
        _refuse_settings_of_predictions(batch_size, size, dtype)
    with exits_on_interrupt():
        if trains:
            from zoo_core.tools.bench.training import QUIET, bench_training

            on = [f"run.device={device}"] if device else []
            found = bench_training(here.recipe(name, *QUIET, *words, *on), here, seconds)
        else:
            from zoo_core.tools.bench.inference import bench_inference

            found = bench_inference(
                name,
                words,
                here,
                seconds,
                batch_size=batch_size,
                size=size,
                device_name=device or "auto",
                dtype=dtype or "float32",
            )
    _say(found, as_json)


def _refuse_settings_of_predictions(batch_size: int | None, size: tuple[int, int] | None, dtype: str | None) -> None:
    if batch_size is not None:
        raise BadSetting("--batch-size is of predictions.", f"For a training write `run.batch_size={batch_size}`.")
    if size is not None:
        raise BadSetting(
            "--size is of predictions; a training has its data set's.", "`zoo info RECIPE` shows the settings."
        )
    if dtype is not None:
        raise BadSetting("--dtype is of predictions.", f"For a training write `run.precision={dtype}`.")


def _say(bench: Bench, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(bench.as_dict(), indent=2))
        return
    threads = f" with {bench.threads} {'thread' if bench.threads == 1 else 'threads'}" if bench.threads else ""
    click.echo(f"{bench.name}: model '{bench.model}' on {bench.device}{threads}, {bench.precision}")
    click.echo(f"  parameters   {bench.parameters:,} ({bench.weights_bytes / 1e6:,.1f} MB with buffers)")
    most, before = bench.peak_memory / 2**20, bench.memory_before / 2**20
    click.echo(f"  peak memory  {most:,.0f} MiB, of which {before:,.0f} before anything was built\n")
    rows = {one.name: _row(one) for one in bench.measurements}
    show([{"": key, **{what: row[key] for what, row in rows.items()}} for key in next(iter(rows.values()))], False)


def _row(one: Measurement) -> dict[str, str]:
    found = one.as_dict()
    return {
        "a second": _number(found["per_second"]),
        "examples": f"{found['examples']:,}" if found["examples"] else "-",
        "examples a second": _number(found["examples_per_second"]),
        **{f"{share}, ms": _number(1000 * found[share]) for share in ("p50", "p90", "p99")},
        "timed": f"{found['calls']:,} in {found['seconds']:.1f} s",
        "GFLOP": _number(found["flops"], 1e9),
        "GFLOP a second": _number(found["flops_per_second"], 1e9),
        "share of the peak": f"{found['peak_fraction']:.0%} of {found['peak_flops_per_second'] / 1e9:,.0f} GFLOP/s"
        if found["peak_fraction"]
        else "-",
    }


def _number(value: Any, unit: float = 1.0) -> str:
    """With about three digits; a dash where there is none."""
    if value is None:
        return "-"
    value /= unit
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
