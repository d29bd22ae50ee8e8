"""Seconds until a conditional GAN first draws good digits, for three ways to train one of the same size.

zoo        clsgan-mnist
reference  clsgan-mnist-reference
public     the settings of the conditional GAN of PyTorch-GAN (github.com/eriklindernoren/PyTorch-GAN,
           implementations/cgan): least squares alone, Adam with 2e-4 and (0.5, 0.999), 100 latent dimensions, pictures
           in [-1, 1]; on zoo's networks, which have the same widths but for the discriminator's last layers

Good is accuracy of at least 0.98, diversity of at least 0.85 and a Frechet distance of at most 14 times the floor, as
clsgan-mnist measures them on the validation examples every so many steps. Seconds are those of training, from its first
step: the evaluations between are left out, and are the same for all. A training that is not good enough by the limit is
stopped and has no time.

    ZOO_DATA=FOLDER python benchmarks/time_to_quality.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from measuring import data_root, load_average, machine, said, spread, write

import zoo_core as zoo

PUBLIC = [
    "trainer.reconstruction=0",
    "trainer.generator_learning_rate=2e-4",
    "trainer.discriminator_learning_rate=2e-4",
    "trainer.betas=[0.5,0.999]",
    "trainer.weight_decay=0",
    "model.latent_dim=100",
    "model.sigmoid=false",
    "model.symmetric=true",
]
WAYS = {
    "zoo": ("clsgan-mnist", []),
    "reference": ("clsgan-mnist-reference", []),
    "public": ("clsgan-mnist-reference", PUBLIC),
}


class Watch:
    """Stops a run at the first evaluation that is good enough, or at the limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.began = self.evaluating = self.left = 0.0
        self.reached: float | None = None
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
        self.figures.append({"step": step, "seconds": seconds, **metrics})
        told = {name: round(metrics[name], 3) for name in ("accuracy", "diversity", "distance_over_floor")}
        print(f"  {step:6,} steps, {seconds:6.1f} s: {told}", flush=True)
        good = metrics["accuracy"] >= 0.98 and metrics["diversity"] >= 0.85 and metrics["distance_over_floor"] <= 14
        if good and self.reached is None:
            self.reached = seconds
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
    before = load_average()
    found: dict[str, list[Watch]] = {name: [] for name in given.only}
    for seed in given.seeds:
        for name in given.only:
            recipe, words = WAYS[name]
            print(f"{name}, seed {seed}", flush=True)
            found[name].append(watch := Watch(given.limit))
            settings = [f"run.seed={seed}", f"run.evaluate_every={given.every}", "run.device=cpu", "trainer.pupil=null"]
            with TemporaryDirectory() as folder:
                zoo.run(recipe, *words, *settings, observers=[watch], folder=Path(folder, "run"))
    times = {name: [watch.reached for watch in watches] for name, watches in found.items()}
    for name, seconds in times.items():
        reached = [one for one in seconds if one is not None]
        print(
            f"{name:10} {f'{said(spread(reached), 0)} s' if reached else ''} in {len(reached)} of {len(seconds)} runs"
        )
    loads = {"before": before, "after": load_average()}
    print(f"threads: {torch.get_num_threads()}, load average before: {before}, afterwards: {loads['after']}")
    complete = {name: seconds for name, seconds in times.items() if None not in seconds}
    figures = {f"seconds of {name}": spread(seconds) for name, seconds in complete.items()}
    courses = {name: [watch.figures for watch in watches] for name, watches in found.items()}
    result = {"machine": machine(), "load_average": loads, "limit": given.limit, "courses": courses}
    write(given.output, {**result, "seconds": times, "ratios": figures})


if __name__ == "__main__":
    main()
