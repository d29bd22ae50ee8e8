"""`zoo run clsgan-mnist`: its speed, the seconds from the command to the evaluated result, and to good digits."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import zoo_core as zoo
from benchmarks.gpu.results import Options, Results
from zoo_core.tools.bench.machine import synchronize

RECIPE = "clsgan-mnist"
ACCURACY, FRECHET_RATIO = 0.98, 14.0
EVERY = 500  # steps between two evaluations
LIMIT = 60.0  # seconds of training after which the thresholds count as missed
COMMAND, RATE, GOOD = f"seconds of zoo run {RECIPE}", f"steps/s of {RECIPE}", "seconds to good digits"


def measure(results: Results, options: Options) -> None:
    with results.attempt(COMMAND, RATE):
        command(results, options)
    with results.attempt(GOOD):
        time_to_quality(results, options)


def command(results: Results, options: Options) -> None:
    """Run the command as a user does, and watch its metrics file."""
    words = ["run.steps=100", "dataset.source=subset", "trainer.eval_classifier=null"] if options.quick else []
    seen, took, last_line = watched(RECIPE, words, options)
    results.detail("result of the command", last_line)
    print(f"  result: {last_line}", flush=True)
    results.add(COMMAND, took)
    (first, at_first), (last, at_last) = seen[0], seen[-1]
    results.detail("seconds of the command's phases", {"start": at_first, "training": at_last - at_first, "all": took})
    results.detail("seconds of the command at its steps", seen)
    results.add(f"seconds of zoo run {RECIPE} until step {first}", at_first)
    results.add(f"seconds of zoo run {RECIPE} from step {last} to its end", took - at_last)
    results.add(RATE, (last - first) / (at_last - at_first))


def watched(recipe: str, words: Sequence[str], options: Options) -> tuple[list[tuple[int, float]], float, Any]:
    """`zoo run` with its steps and the seconds at which they were seen, its whole time, and its last line of metrics.

    Raises:
        RuntimeError: if it fails.
    """
    with TemporaryDirectory() as folder:
        run = Path(folder, "run")
        words = [recipe, f"run.device={options.device}", *words, "--folder", str(run)]
        started = time.perf_counter()
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "zoo_core", "run", *words], stdout=log, stderr=log)
            try:
                seen = watch(process, run / "metrics.jsonl", started)
            finally:
                process.kill()
                process.wait()
        took = time.perf_counter() - started
        if process.returncode or not seen:
            text = Path(folder, "log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"exit code {process.returncode}: {text[-4000:]}")
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return seen, took, json.loads(lines[-1])


def watch(process: subprocess.Popen[bytes], metrics: Path, started: float) -> list[tuple[int, float]]:
    """Steps whose metrics were written, and the seconds at which they were seen, until the process ends."""
    seen: list[tuple[int, float]] = []
    while process.poll() is None:
        time.sleep(0.01)
        if not metrics.is_file():
            continue
        with metrics.open("rb") as file:
            file.seek(max(0, metrics.stat().st_size - 4096))
            whole = file.read().rpartition(b"\n")[0].splitlines()  # without a line that is being written
        try:
            step = int(json.loads(whole[-1])["step"]) if whole else 0
        except ValueError:  # the one line is longer than what was read
            continue
        if step > (seen[-1][0] if seen else 0):
            seen.append((step, time.perf_counter() - started))
    return seen


class Quality:
    """Stops a run at the first evaluation that reaches the thresholds, or at the time limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.first = self.step_end = self.evaluating = 0.0
        self.reached: dict[str, Any] | None = None
        self.course: list[dict[str, Any]] = []

    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run, step: int) -> None:
        if step == 1 or step % EVERY == 0:  # waiting for the device in every step would slow the run down
            synchronize(run.device)
        self.step_end = time.perf_counter()
        self.first = self.first or self.step_end
        if self.step_end - self.first - self.evaluating > self.limit:
            run.stop("the limit")

    @zoo.hookimpl
    def zoo_evaluated(self, run: zoo.Run, step: int, metrics: Mapping[str, float]) -> None:
        seconds = self.step_end - self.first - self.evaluating
        self.evaluating += time.perf_counter() - self.step_end
        found = {"step": step, "seconds": seconds, "with_evaluations": seconds + self.evaluating, **metrics}
        self.course.append(found)
        print(
            f"  {step:6,} steps, {seconds:5.1f} s ({found['with_evaluations']:.1f} s with evaluations): accuracy "
            f"{metrics['accuracy']:.4f}, Fréchet ratio {metrics['frechet_ratio']:.2f}",
            flush=True,
        )
        if metrics["accuracy"] >= ACCURACY and metrics["frechet_ratio"] <= FRECHET_RATIO and self.reached is None:
            self.reached = found
            run.stop("the thresholds")


def time_to_quality(results: Results, options: Options) -> None:
    """Evaluate every 500 steps until the thresholds are reached; the evaluations' own time is reported separately."""
    words = [f"run.device={options.device}", f"run.evaluate_every={EVERY}", "trainer.cas_classifier=null"]
    if options.quick:
        words += ["dataset.source=subset", "run.steps=4", "run.evaluate_every=2"]
    watch = Quality(min(LIMIT, options.seconds_left))
    with TemporaryDirectory() as folder:
        zoo.run(RECIPE, *words, callbacks=[watch], folder=Path(folder, "run"))
    results.detail("course of the quality", watch.course)
    if watch.reached is None:
        last = watch.course[-1] if watch.course else {}
        raise RuntimeError(f"not reached; the last evaluation: {last}")
    results.add(GOOD, watch.reached["seconds"])
    results.add(f"{GOOD}, with the evaluations", watch.reached["with_evaluations"])
    results.add("steps to good digits", watch.reached["step"])
