"""Steps per second of the U-Net recipes: zoo, and a bare captured step in the precision that zoo chose."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.flop_counter import FlopCounterMode

import zoo_core as zoo
from benchmarks.gpu.results import Options, Results
from benchmarks.gpu.turns import Turns
from benchmarks.gpu.unet_loop import batches, loss_of, network
from zoo_core.tools.bench.machine import matrix_products

LARGE = "unet-moving-mnist-large"
RECIPES = {
    "unet-moving-mnist": (),
    "unet-digit-scenes": (),
    LARGE: ("run.precision=bfloat16",),
}
COMPILED = f"{LARGE}, compiled"
QUICK = ("model.base_channels=4", "run.batch_size=2", "dataset.source=subset")
STEPS = 100_000
WARM_UP = 60


def measure(results: Results, options: Options) -> None:
    overrides = {name: [*words, *(QUICK if options.quick else ())] for name, words in RECIPES.items()}
    with TemporaryDirectory() as folder:
        turns = Turns(results, options, Path(folder))
        try:
            trainings = {name: through_zoo(name, name, overrides[name], Path(folder)) for name in RECIPES}
            if not options.quick:  # a compiler takes a minute on a CPU
                compiled = [*overrides[LARGE], "run.compile=default"]
                trainings[COMPILED] = through_zoo(COMPILED, LARGE, compiled, Path(folder))
            turns.start(trainings, WARM_UP)
            chosen = {name: precision_of(Path(folder, f"{name} run")) for name in RECIPES}
            results.detail("precision", chosen)
            turns.start(
                {
                    f"bare {name}": ("gpu/unet_loop.py", name, *overrides[name], f"--precision={chosen[name]}")
                    for name in RECIPES
                },
                WARM_UP,
            )
            with results.attempt("peak"):
                peaks = [matrix_products(torch.device(options.device), "bfloat16")]
            turns.take()
            with results.attempt("peak"):
                peaks.append(matrix_products(torch.device(options.device), "bfloat16"))
        finally:
            turns.end()
    for name in (*RECIPES, COMPILED):
        turns.report(f"steps/s of {name}", name)
    for name in RECIPES:
        turns.compare(f"zoo/bare of {name}", name, f"bare {name}")
    with results.attempt(f"share of peak of {LARGE}"):
        operations = operations_of_a_step(zoo.recipe(LARGE, *overrides[LARGE]))
        results.detail("peak", {"operations_of_a_step": operations, "operations_per_second": peaks})
        for name in (LARGE, COMPILED, f"bare {LARGE}"):
            shares = [rate * operations / max(peaks) for rate in turns.rates.get(name, [])]
            if shares:
                results.add(f"share of peak of {name}", shares)


def through_zoo(name: str, recipe: str, overrides: list[str], folder: Path) -> tuple[str, ...]:
    """zoo's training with logging, previews and checkpoints, whose run stays in ``folder`` under ``name``."""
    # The evaluation of 10,000 generated clips is no part of a step.
    return (
        "through_zoo.py",
        recipe,
        *overrides,
        "run.evaluate_every=0",
        f"--folder={folder / f'{name} run'}",
        f"--steps={STEPS}",
    )


def precision_of(run: Path) -> str:
    """The precision that ``run.precision=auto`` became, as the run recorded it."""
    file = run / "environment.json"
    if not file.is_file():
        return "float32"  # the run failed
    precision = str(json.loads(file.read_text(encoding="utf-8"))["device"]["precision"])
    return precision if precision in ("float32", "tf32", "bfloat16") else "float32"


def operations_of_a_step(recipe: zoo.Recipe) -> int:
    """Floating-point operations of the convolutions and matrix products of one step, counted on one example."""
    image, target = (tensor[:1] for tensor in batches(recipe, count=1)[0])
    model = network(recipe)
    with FlopCounterMode(display=False) as counter:
        loss_of(model(image), target).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops()) * int(recipe.settings("run")["batch_size"])
