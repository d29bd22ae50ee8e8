"""What `zoo bench` shows of the training of clsgan-mnist-reference, and what `zoo run` reaches."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.gpu.main_job import watched
from benchmarks.gpu.results import Options, Results

RECIPE, NO_CLASSIFIER = "clsgan-mnist-reference", "trainer.eval_classifier=null"
SHOWN, STEPS = "zoo bench/zoo run", 8000


def measure(results: Results, options: Options) -> None:
    with results.attempt(SHOWN):
        (shown,) = shown_by_bench(["run.cuda_graph=auto"], results, options).values()
        steps = 200 if options.quick else STEPS
        seen, _, _ = watched(RECIPE, [NO_CLASSIFIER, f"run.steps={steps}"], options)
        (first, at_first), (last, at_last) = seen[len(seen) // 4], seen[-1]
        rate = (last - first) / (at_last - at_first)
        results.add("zoo run steps/s", rate)
        results.add(SHOWN, shown["per_second"] / rate)
    with results.attempt("zoo bench in each way"):
        for name, one in shown_by_bench([], results, options).items():  # torch.compile may take a minute
            results.add(f"{name} steps/s", one["per_second"])
            if "launches" in one:
                results.add(f"launches of {name}", one["launches"])
                results.add(f"idle fraction of {name}", one["idle_fraction"])


def shown_by_bench(overrides: list[str], results: Results, options: Options) -> dict[str, dict[str, Any]]:
    """The measurements by name."""
    seconds = "1" if options.quick else "4"
    words = [RECIPE, NO_CLASSIFIER, *overrides, "--seconds", seconds, "--device", options.device, "--json"]
    command = [sys.executable, "-m", "zoo_core", "bench", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=max(1.0, options.seconds_left))
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-4000:]}")
    found = json.loads(done.stdout)
    results.detail(f"zoo bench {' '.join(overrides)}".strip(), found)
    return dict(found["measurements"])
