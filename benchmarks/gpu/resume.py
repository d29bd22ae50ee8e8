"""`zoo verify-resume` of every recipe: runs that are killed at random moments and resumed give identical results."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.results import Options, Results
from benchmarks.gpu.same_bits import add_share, of_each
from benchmarks.gpu.short_runs import recipes

RESUMED = "recipes that zoo verify-resume finds identical"
KILLS = 2


def measure(results: Results, options: Options) -> None:
    with TemporaryDirectory() as folder:
        given = recipes(Path(folder))
        if options.quick:
            given = {"clsgan-mnist-quick": (*given["clsgan-mnist-quick"], "run.steps=10")}
        words = ("--kills", str(1 if options.quick else KILLS), "--json")
        found = of_each(
            given,
            lambda name: [
                *(sys.executable, "-m", "zoo_core", "verify-resume", name, f"run.device={options.device}"),
                *given[name],
                *words,
            ],
            results,
            options,
            "verify-resume",
        )
    differences = {name: one["difference"] for name, one in found.items()}
    results.detail(RESUMED, differences)
    results.detail("kills", {name: len(one["kills"]) for name, one in found.items()})
    add_share(results, RESUMED, differences)
