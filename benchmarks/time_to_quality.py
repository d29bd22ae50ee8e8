"""Seconds until a conditional GAN first draws good digits, for three ways to train one.

zoo        clsgan-mnist
reference  clsgan-mnist-reference
public     public_cgan.py: networks and settings of the conditional GAN of PyTorch-GAN, as its source has them: its
           generator is as large as clsgan's, its discriminator half as large again

Good is accuracy of at least 0.98, diversity of at least 0.85 and a Frechet distance of at most 14 times the floor, as
clsgan-mnist measures them on the validation examples every so many steps. Seconds are those of training, from its first
step: the evaluations between are left out, and are the same for all; beside them stand those with the evaluations. A
training that is not good enough by the limit is stopped and has no time.

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
from measuring import data_root, load_average, machine, ratios, said, spread, write

import zoo_core as zoo

PLUGIN = Path(__file__).with_name("public_cgan.py").absolute()
WAYS = {"zoo": "clsgan-mnist", "reference": "clsgan-mnist-reference", "public": "public-cgan"}


class Watch:
    """Stops a run at the first evaluation that is good enough, or at the limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.began = self.evaluating = self.left = 0.0
        self.reached: float | None = None
        self.reached_with_evaluations: float | None = None
        self.figures: list[dict[str, Any]] = []

    @zoo.hookimpl
    def zoo_run_started(self, run: zoo.Run) -> None:
        self.began = time.perf_counter()

    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run, step: int) -> None:
        self.evaluating = time.perf_counter()
        if self.evaluating - self.began - self.left > self.limit:
            run.stop("the limit")

    @zoo.hookimpl
    def zoo_evaluated(self, run: zoo.Run, step: int, metrics: Mapping[str, float]) -> None:
        seconds = self.evaluating - self.began - self.left
        self.left += time.perf_counter() - self.evaluating
        with_evaluations = seconds + self.left
        self.figures.append({"step": step, "seconds": seconds, "with_evaluations": with_evaluations, **metrics})
        shown = {name: round(metrics[name], 3) for name in ("accuracy", "diversity", "frechet_ratio")}
        print(f"  {step:6,} steps, {seconds:6.1f} s: {shown}", flush=True)
        good = metrics["accuracy"] >= 0.98 and metrics["diversity"] >= 0.85 and metrics["frechet_ratio"] <= 14
        if good and self.reached is None:
            self.reached, self.reached_with_evaluations = seconds, with_evaluations
            run.stop("good enough")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--every", type=int, default=500, help="steps between evaluations")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of training")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    data_root()
    others = os.environ.get("ZOO_PLUGIN_FILES")
    os.environ["ZOO_PLUGIN_FILES"] = os.pathsep.join([str(PLUGIN), *([others] if others else [])])
    before = load_average()
    found: dict[str, list[Watch]] = {name: [] for name in given.only}
    for seed in given.seeds:
        for name in given.only:
            print(f"{name}, seed {seed}", flush=True)
            found[name].append(watch := Watch(given.limit))
            settings = [
                f"run.seed={seed}",
                f"run.evaluate_every={given.every}",
                "run.device=cpu",
                "trainer.cas_classifier=null",
            ]
            with TemporaryDirectory() as folder:
                zoo.run(WAYS[name], *settings, callbacks=[watch], folder=Path(folder, "run"))
    times = {name: [watch.reached for watch in watches] for name, watches in found.items()}
    whole = {name: [watch.reached_with_evaluations for watch in watches] for name, watches in found.items()}
    for name, seconds in times.items():
        print(f"{name:10} {told(seconds)}, with evaluations {told(whole[name])}")
    loads = {"before": before, "after": load_average()}
    threads = torch.get_num_threads()
    print(f"threads: {threads}, load average before: {before}, afterwards: {loads['after']}")
    figures = spreads("seconds of {}", times) | spreads("seconds of {} with evaluations", whole)
    figures |= later(times, given.limit)
    courses = {name: [watch.figures for watch in watches] for name, watches in found.items()}
    result = {"machine": machine(), "threads": threads, "load_average": loads, "limit": given.limit, "courses": courses}
    write(given.output, {**result, "seconds": times, "with_evaluations": whole, "ratios": figures})


def told(seconds: list[float | None]) -> str:
    """Over the runs that were good enough."""
    reached = [one for one in seconds if one is not None]
    return f"{f'{said(spread(reached), 0)} s ' if reached else ''}in {len(reached)} of {len(seconds)} runs"


def spreads(title: str, times: Mapping[str, list[float | None]]) -> dict[str, dict[str, float]]:
    """Of those ways of which every run was good enough: without the others a median would say too little."""
    reached = {name: [one for one in seconds if one is not None] for name, seconds in times.items()}
    return {title.format(name): spread(reached[name]) for name in times if len(reached[name]) == len(times[name])}


def later(times: Mapping[str, list[float | None]], limit: float) -> dict[str, dict[str, float]]:
    """How many times as long as zoo the others took, seed by seed; at least so many times where one took the limit."""
    zoos = times.get("zoo", [None])
    if None in zoos:
        return {}
    others = {name: [limit if one is None else one for one in seconds] for name, seconds in times.items()}
    return {f"seconds of {name}/zoo": ratios(others[name], others["zoo"]) for name in others if name != "zoo"}


if __name__ == "__main__":
    main()
