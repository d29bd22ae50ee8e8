"""What `zoo bench` shows of the training of clsgan-mnist-reference, and what `zoo run` reaches."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.gpu.main_job import watched
from benchmarks.gpu.results import Options, Results

RECIPE, NO_CLASSIFIER = "clsgan-mnist-reference", "trainer.eval_classifier=null"
SHOWN, STEPS = "zoo bench/zoo run", 8000


def measure(results: Results, options: Options) -> None:
    with results.attempt(SHOWN):
        seconds = "1" if options.quick else "4"
        words = ["bench", RECIPE, NO_CLASSIFIER, "--seconds", seconds, "--device", options.device, "--json"]
        command = [sys.executable, "-m", "zoo_core", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=max(1.0, options.seconds_left))
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-4000:]}")
        found = json.loads(done.stdout)
        results.detail("zoo bench", found)
        measurements = found["measurements"]
        for name, one in measurements.items():
            results.add(f"{name} steps/s", one["per_second"])
            if "launches" in one:
                results.add(f"launches of {name}", one["launches"])
                results.add(f"idle fraction of {name}", one["idle_fraction"])
        steps = 200 if options.quick else STEPS
        seen, _, _ = watched(RECIPE, [NO_CLASSIFIER, f"run.steps={steps}"], options)
        (first, at_first), (last, at_last) = seen[len(seen) // 4], seen[-1]
        rate = (last - first) / (at_last - at_first)
        results.add("zoo run steps/s", rate)
        shown = measurements.get("captured") or measurements["training step"]
        results.add(SHOWN, shown["per_second"] / rate)
