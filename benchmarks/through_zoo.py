"""The training of clsgan-mnist-reference through zoo's own runner, with everything on that ``zoo run`` has on.

Metrics file, TensorBoard, previews and progress are those of the command. Left out is only the judge, which
evaluates after the last step. Measured, by an observer: steps/s after the warm-up.

    ZOO_DATA=FOLDER python benchmarks/through_zoo.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console

import zoo_core as zoo
from zoo_core.observers.progress import Progress


class Stopwatch:
    """Seconds from the end of the step ``first`` to the end of the step ``last``."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.started = self.seconds = 0.0

    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run, step: int, metrics: Mapping[str, Any]) -> None:
        if step == self.first:
            self.started = time.perf_counter()
        if step == self.last:
            self.seconds = time.perf_counter() - self.started


def train(steps: int, warm_up: int, threads: int, folder: Path) -> float:
    """Seconds that the ``steps`` steps after the first ``warm_up`` ones take."""
    stopwatch = Stopwatch(warm_up, warm_up + steps)
    zoo.run(
        "clsgan-mnist-reference",
        f"run.steps={warm_up + steps}",
        f"run.threads={threads}",
        "run.device=cpu",
        "trainer.judge=null",
        observers=[Progress(Console(stderr=True)), stopwatch],
        folder=folder,
    )
    return stopwatch.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1600, help="steps that are measured")
    parser.add_argument("--warm-up", type=int, default=450, help="steps before them")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        seconds = train(given.steps, given.warm_up, given.threads, Path(folder, "run"))
    print(f"{given.steps / seconds:.2f} steps/s")


if __name__ == "__main__":
    main()
