"""``zoo bench``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import RecipeName
from zoo_core.cli.options import device_option, json_option, registry_option
from zoo_core.cli.sizes import ImageSize
from zoo_core.cli.table import show
from zoo_core.engine.shutdown import saves_nothing
from zoo_core.errors import BadSetting
from zoo_core.terminal import say, say_text

if TYPE_CHECKING:
    from zoo_core.tools.bench.measurement import Bench, Measurement

DTYPES = ["float32", "bfloat16", "float16"]


@click.command("bench")
@click.argument("name", metavar="RECIPE|MODEL|WEIGHTS|RUN_DIR", type=RecipeName())
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "--train/--predict", "trains", default=None, help="What to benchmark; by default training for a recipe only."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Duration of each measurement.",
)
@click.option("--batch-size", type=click.IntRange(1), help="Examples per forward pass; by default the model's choice.")
@click.option("--size", type=ImageSize(), help="Height x width of the images, such as 480x560.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Data type for predictions; by default float32.")
@device_option
@registry_option
@json_option
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
    """Benchmark the training of a recipe or the predictions of a model: throughput, latency and memory.

    \b
    zoo bench clsgan-mnist                          # training steps
    zoo bench clsgan-mnist run.batch_size=512
    zoo bench unet-digit-scenes --predict --batch-size 8 --size 128x128
    zoo bench unet base_channels=16                 # a model with default settings, or others

    Nothing is saved. The model of a recipe is benchmarked untrained, since its speed does not depend on its weights.
    """
    catalog = open_catalog(registry)
    if trains is None:
        trains = name in catalog.recipes
    if trains:
        _refuse_prediction_options(batch_size, size, dtype)
    with saves_nothing():
        if trains:
            from zoo_core.tools.bench.training import QUIET, bench_training

            overrides = [*QUIET, *words, *([f"run.device={device}"] if device else [])]
            result = bench_training(catalog.recipe(name, *overrides), catalog, seconds)
        else:
            from zoo_core.tools.bench.inference import bench_inference

            result = bench_inference(
                name,
                words,
                catalog,
                seconds,
                batch_size=batch_size,
                size=size,
                device_name=device or "auto",
                dtype=dtype or "float32",
            )
    _print(result, as_json)


def _refuse_prediction_options(batch_size: int | None, size: tuple[int, int] | None, dtype: str | None) -> None:
    if batch_size is not None:
        raise BadSetting("--batch-size applies to predictions only.", f"Write `run.batch_size={batch_size}` instead.")
    if size is not None:
        raise BadSetting(
            "--size applies to predictions only; training has the image size of the dataset.",
            "`zoo info RECIPE` shows the settings.",
        )
    if dtype is not None:
        raise BadSetting("--dtype applies to predictions only.", f"Write `run.precision={dtype}` instead.")


def _print(bench: Bench, as_json: bool) -> None:
    if as_json:
        say_text(json.dumps(bench.as_dict(), indent=2))
        return
    threads = f" with {bench.threads} {'thread' if bench.threads == 1 else 'threads'}" if bench.threads else ""
    say(f"{bench.name}: model '{bench.model}' on {bench.device}{threads}, {bench.precision}")
    say(f"  parameters   {bench.parameters:,} ({bench.weights_bytes / 1e6:,.1f} MB with buffers)")
    peak, before = bench.peak_memory / 2**20, bench.memory_before / 2**20
    say(f"  peak memory  {peak:,.0f} MiB, of which {before:,.0f} MiB before the model was created", "")
    rows = {one.name: _row(one) for one in bench.measurements}
    keys = dict.fromkeys(key for row in rows.values() for key in row)
    show([{"": key, **{what: row.get(key, "-") for what, row in rows.items()}} for key in keys], False)
    for note in bench.notes:
        say(f"not measured, {note}")


def _row(one: Measurement) -> dict[str, str]:
    found = one.as_dict()
    return {
        "per second": _number(found["per_second"]),
        "examples": f"{found['examples']:,}" if found["examples"] else "-",
        "examples per second": _number(found["examples_per_second"]),
        **{f"{percentile}, ms": _number(found[percentile], 1e-3) for percentile in ("p50", "p90", "p99")},
        "timed": f"{found['calls']:,} in {found['seconds']:.1f} s",
        "GFLOP": _number(found["flops"], 1e9),
        "GFLOP per second": _number(found["flops_per_second"], 1e9),
        "fraction of peak": f"{found['peak_fraction']:.0%} of {found['peak_flops_per_second'] / 1e9:,.0f} GFLOP/s"
        if found["peak_fraction"]
        else "-",
        **_on_cuda(found),
    }


def _on_cuda(found: dict[str, Any]) -> dict[str, str]:
    if "launches" not in found:
        return {}
    return {"kernel launches": _number(found["launches"]), "device idle": f"{found['idle_fraction']:.0%}"}


def _number(value: Any, unit: float = 1.0) -> str:
    """A number with three significant digits, or a dash for None."""
    if value is None:
        return "-"
    value /= unit
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
