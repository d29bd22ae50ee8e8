"""The training of clsgan-mnist-reference, or another recipe, with zoo, with everything that ``zoo run`` does.

Metrics file, TensorBoard, previews and progress are those of the command. Only the classifier that evaluates after the
last step is left out. It prints steps/s.

    ZOO_DATA=FOLDER python benchmarks/through_zoo.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo_core.engine.openmp import limit_spin_wait

limit_spin_wait()  # before torch is imported, as the command does

from rich.console import Console  # noqa: E402
from taking_turns import Ticks  # noqa: E402

import zoo_core as zoo  # noqa: E402
from zoo_core.loggers.progress import Progress  # noqa: E402

RECIPE = "clsgan-mnist-reference"
NO_CLASSIFIERS = {RECIPE: ("trainer.eval_classifier=null",)}


class Counter:
    """Counts the steps of the run for the measuring process."""

    def __init__(self) -> None:
        self.ticks = Ticks()

    @zoo.hookimpl
    def zoo_step_finished(self, run: zoo.Run, step: int, metrics: Mapping[str, Any]) -> None:
        self.ticks.tick()


def train(recipe: str, overrides: Sequence[str], folder: Path) -> None:
    zoo.run(recipe, *overrides, callbacks=[Progress(Console(stderr=True)), Counter()], folder=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default=RECIPE)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=187_400)
    parser.add_argument("--threads", type=int, help="otherwise torch's default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", type=Path, help="keep the run here; otherwise it is deleted")
    args = parser.parse_args()
    overrides = [
        *(args.overrides or NO_CLASSIFIERS.get(args.recipe, ())),
        f"run.steps={args.steps}",
        f"run.device={args.device}",
    ]
    if args.threads:
        overrides.append(f"run.threads={args.threads}")
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(args.recipe, overrides, args.folder or Path(folder, "run"))
    print(f"{args.steps / (time.perf_counter() - started):.2f} steps/s")


if __name__ == "__main__":
    main()
