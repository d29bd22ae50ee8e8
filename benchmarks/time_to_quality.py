"""Seconds of training until a conditional GAN first reaches given test metrics, for three recipes.

zoo        clsgan-mnist
reference  clsgan-mnist-reference
public     public_cgan.py: networks and settings of the conditional GAN of PyTorch-GAN; its generator is as large as
           clsgan's, and its discriminator 1.5 times as large

The thresholds are an accuracy of at least 0.98, an intra_class_std_ratio of at least 0.85 and a frechet_ratio of at
most 14, measured by clsgan-mnist on the validation split every --every steps. The seconds are those of training without
the evaluations, which are the same for all; the seconds with evaluations are reported as well. A training that does not
reach the thresholds within the limit is stopped and has no time.

    ZOO_DATA=FOLDER python benchmarks/time_to_quality.py
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from measuring import data_root, format_spread, load_average, machine, ratios, spread, write

import zoo_core as zoo

PLUGIN = Path(__file__).with_name("public_cgan.py").absolute()
WAYS = {"zoo": "clsgan-mnist", "reference": "clsgan-mnist-reference", "public": "public-cgan"}


class QualityCallback:
    """Stops a run at the first evaluation that reaches the thresholds, or at the time limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.start = self.step_end = self.evaluation_seconds = 0.0
        self.reached: float | None = None
        self.reached_with_evaluations: float | None = None
        self.evaluations: list[dict[str, Any]] = []

    @zoo.hookimpl
    def zoo_run_started(self, run: zoo.Run) -> None:
        self.start = time.perf_counter()

    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run, step: int) -> None:
        self.step_end = time.perf_counter()
        if self.step_end - self.start - self.evaluation_seconds > self.limit:
            run.stop("the limit")

    @zoo.hookimpl
    def zoo_evaluated(self, run: zoo.Run, step: int, metrics: Mapping[str, float]) -> None:
        seconds = self.step_end - self.start - self.evaluation_seconds
        self.evaluation_seconds += time.perf_counter() - self.step_end
        with_evaluations = seconds + self.evaluation_seconds
        self.evaluations.append({"step": step, "seconds": seconds, "with_evaluations": with_evaluations, **metrics})
        shown = {name: round(metrics[name], 3) for name in ("accuracy", "intra_class_std_ratio", "frechet_ratio")}
        print(f"  {step:6,} steps, {seconds:6.1f} s: {shown}", flush=True)
        good = (
            metrics["accuracy"] >= 0.98 and metrics["intra_class_std_ratio"] >= 0.85 and metrics["frechet_ratio"] <= 14
        )
        if good and self.reached is None:
            self.reached, self.reached_with_evaluations = seconds, with_evaluations
            run.stop("the thresholds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--every", type=int, default=500, help="steps between evaluations")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of training")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    data_root()
    others = os.environ.get("ZOO_PLUGIN_FILES")
    os.environ["ZOO_PLUGIN_FILES"] = os.pathsep.join([str(PLUGIN), *([others] if others else [])])
    before = load_average()
    found: dict[str, list[QualityCallback]] = {name: [] for name in args.only}
    for seed in args.seeds:
        for name in args.only:
            print(f"{name}, seed {seed}", flush=True)
            found[name].append(watch := QualityCallback(args.limit))
            settings = [
                f"run.seed={seed}",
                f"run.evaluate_every={args.every}",
                "run.device=cpu",
                "trainer.cas_classifier=null",
            ]
            with TemporaryDirectory() as folder:
                zoo.run(WAYS[name], *settings, callbacks=[watch], folder=Path(folder, "run"))
    times = {name: [watch.reached for watch in watches] for name, watches in found.items()}
    whole = {name: [watch.reached_with_evaluations for watch in watches] for name, watches in found.items()}
    for name, seconds in times.items():
        print(f"{name:10} {format_times(seconds)}, with evaluations {format_times(whole[name])}")
    loads = {"before": before, "after": load_average()}
    threads = torch.get_num_threads()
    print(f"threads: {threads}, load average before: {before}, afterwards: {loads['after']}")
    compared = spreads("seconds of {}", times) | spreads("seconds of {} with evaluations", whole)
    compared |= relative_to_zoo(times, args.limit)
    courses = {name: [watch.evaluations for watch in watches] for name, watches in found.items()}
    result = {"machine": machine(), "threads": threads, "load_average": loads, "limit": args.limit, "courses": courses}
    write(args.output, {**result, "seconds": times, "with_evaluations": whole, "ratios": compared})


def format_times(seconds: list[float | None]) -> str:
    """The spread over the runs that reached the thresholds, and their number."""
    reached = [one for one in seconds if one is not None]
    return f"{f'{format_spread(spread(reached), 0)} s ' if reached else ''}in {len(reached)} of {len(seconds)} runs"


def spreads(title: str, times: Mapping[str, list[float | None]]) -> dict[str, dict[str, float]]:
    """The spreads of those recipes of which all runs reached the thresholds; otherwise a median would be biased."""
    reached = {name: [one for one in seconds if one is not None] for name, seconds in times.items()}
    return {title.format(name): spread(reached[name]) for name in times if len(reached[name]) == len(times[name])}


def relative_to_zoo(times: Mapping[str, list[float | None]], limit: float) -> dict[str, dict[str, float]]:
    """The times of the others relative to zoo's, by seed; a lower bound if a run reached the limit."""
    zoos = times.get("zoo", [None])
    if None in zoos:
        return {}
    others = {name: [limit if one is None else one for one in seconds] for name, seconds in times.items()}
    return {f"seconds of {name}/zoo": ratios(others[name], others["zoo"]) for name in others if name != "zoo"}


if __name__ == "__main__":
    main()
