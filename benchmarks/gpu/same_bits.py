"""Whether a run of every recipe gives the same bits again, and with eager steps those of captured ones.

Each recipe is a process of its own, since an error on a GPU ends all further work of its process:

    PYTHONPATH=.:benchmarks python -m benchmarks.gpu.same_bits clsgan-mnist-quick cuda 40 KEY=VALUE...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory

import zoo_core as zoo
from benchmarks.gpu.results import Options, Results
from benchmarks.gpu.short_runs import recipes
from zoo_core.tools.verify_resume import compare

AGAIN, EAGER = "recipes that give the same bits again", "recipes with the same bits captured and eager"
AT_ONCE = 6


def measure(results: Results, options: Options) -> None:
    with TemporaryDirectory() as folder:
        given = recipes(Path(folder))
        if options.quick:
            given = {name: given[name] for name in ("clsgan-mnist-quick", "unet-masks")}
        command = [sys.executable, "-m", "benchmarks.gpu.same_bits"]
        steps = "4" if options.quick else "40"
        found = of_each(
            given, lambda name: [*command, name, options.device, steps, *given[name]], results, options, "same bits"
        )
    for key, way in ((AGAIN, "again"), (EAGER, "eager")):
        differences = {name: one[way] for name, one in found.items()}
        results.detail(key, differences)
        add_share(results, key, differences)


def add_share(results: Results, key: str, differences: Mapping[str, str]) -> None:
    """Record the share of the recipes without a difference. One that failed, or had no time, was not measured."""
    with results.attempt(key):
        if not differences:
            raise RuntimeError("no recipe was measured")
        results.add(key, sum(not text for text in differences.values()) / len(differences))


def of_each(
    given: Mapping[str, Sequence[str]],
    command: Callable[[str], Sequence[str]],
    results: Results,
    options: Options,
    what: str,
) -> dict[str, dict[str, str]]:
    """The JSON in the last line of each recipe's command, several of which run at once; errors are recorded."""

    variables = {**os.environ, "OMP_NUM_THREADS": "2"}  # of each of several processes

    def run(name: str) -> dict[str, str]:
        seconds = max(1.0, options.seconds_left)
        done = subprocess.run(command(name), env=variables, capture_output=True, text=True, timeout=seconds)
        try:
            return dict(json.loads(done.stdout[done.stdout.index("{") :]))
        except ValueError:
            raise RuntimeError(f"exit code {done.returncode}: {done.stdout[-1000:]}{done.stderr[-3000:]}") from None

    found = {}
    with ThreadPoolExecutor(1 if options.quick else AT_ONCE) as pool:
        waiting = {pool.submit(run, name): name for name in given}
        for future in as_completed(waiting):
            name = waiting[future]
            with results.attempt(f"{what} of {name}"):
                found[name] = future.result()
                print(f"  {what} of {name}: {found[name]}", flush=True)
                results.detail(f"{what} of {name}", found[name])
    return found


def three_runs(name: str, device: str, steps: int, overrides: Sequence[str], folder: Path) -> dict[str, str]:
    """The first difference of the second and of the eager run from the first; empty if there is none."""
    every = max(1, steps // 4)
    words = [
        f"run.device={device}",
        f"run.steps={steps}",
        f"run.log_every={every}",
        f"run.checkpoint_every={every}",
        f"run.preview_every={2 * every}",
        "run.evaluate_every=0",
        "run.keep_checkpoints=100",
        *overrides,
    ]
    ways = {"first": words, "again": words, "eager": [*words, "run.cuda_graph=off"]}
    for way, settings in ways.items():
        zoo.run(name, *settings, folder=folder / way)
    return {
        "again": compare(folder / "first", folder / "again"),
        "eager": compare(folder / "first", folder / "eager", ignore=["run.recipe"]),  # which has the setting
    }


if __name__ == "__main__":
    recipe, device, steps, *overrides = sys.argv[1:]
    with TemporaryDirectory() as scratch:
        print(json.dumps(three_runs(recipe, device, int(steps), overrides, Path(scratch))))
