"""The cost of checkpoints: steps of the reference GAN with a checkpoint every hundred steps, and without:

    python benchmarks/saving.py --rounds 5

The two alternate in one process. The cost is the time to copy the state in memory, and the CPU time of the thread that
writes it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from measuring import load_average, machine, spread, write

import zoo_core as zoo

EVERY = 100


class Clock:
    """Seconds from the tenth step to the last."""

    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run, step: int) -> None:
        if step == 10:
            self.start = time.perf_counter()
        if step == run.total_steps:
            self.seconds = time.perf_counter() - self.start


def seconds(folder: Path, steps: int, every: int, overrides: list[str]) -> float:
    clock = Clock()
    settings = [
        f"run.steps={steps}",
        f"run.checkpoint_every={every}",
        "run.preview_every=0",
        "trainer.eval_classifier=",
        "trainer.cas_classifier=",
    ]
    zoo.run("clsgan-mnist-reference", *settings, *overrides, callbacks=[clock], folder=folder)
    return clock.seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=610)
    arguments.add_argument("overrides", nargs="*", help="settings, such as run.threads=1")
    arguments.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = arguments.parse_args()
    before = load_average()
    ratios = []
    for number in range(args.rounds):
        with tempfile.TemporaryDirectory(prefix="zoo-saving-") as folder:
            without = seconds(Path(folder, "without"), args.steps, 0, args.overrides)
            with_checkpoints = seconds(Path(folder, "with"), args.steps, EVERY, args.overrides)
        ratios.append(with_checkpoints / without)
        print(f"round {number}: {without:.2f} s without, {with_checkpoints:.2f} s with: {ratios[-1]:.3f}", flush=True)
    print(
        f"with a checkpoint every {EVERY} steps / without: median {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}); load {os.getloadavg()[0]:.1f}"
    )
    loads = {"before": before, "after": load_average()}
    write(args.output, {"machine": machine(), "load_average": loads, "ratios": {"with/without": spread(ratios)}})


if __name__ == "__main__":
    main()
