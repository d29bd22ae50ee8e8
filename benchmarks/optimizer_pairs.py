"""Kill runs of pairs of an optimizer and a schedule at random moments, resume them, and count how often the result is
bit for bit that of an uninterrupted run:

    python benchmarks/optimizer_pairs.py --pairs 45 --kills 1

The kills are SIGKILL. Every optimizer that zoo offers is in a pair, but for sparse-adam, which needs sparse gradients;
the schedules take turns.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from itertools import product
from pathlib import Path

from zoo_core.registry.builtin import builtin_names
from zoo_core.tools.verify_resume import verify

TASK = Path(__file__).parent / "optimizer_task.py"
OPTIONS = {
    "dadapt-adam": ["trainer.learning_rate=1.0"],
    "lbfgs": ["trainer.learning_rate=0.1", "trainer.optimizer_options.max_iter=3"],
    "prodigy": ["trainer.learning_rate=1.0"],
    "soap": ["trainer.optimizer_options.precondition_frequency=2"],
}


def pairs(count: int, only: list[str]) -> list[tuple[str, str]]:
    """The first ``count`` pairs, such that every optimizer comes before one comes again, with another schedule."""
    optimizers = [name for name in builtin_names("optimizer") if name != "sparse-adam" and (not only or name in only)]
    schedules = builtin_names("schedule")
    rounds = product(range(len(schedules)), enumerate(optimizers))
    found = [(name, schedules[(number + shift) % len(schedules)]) for shift, (number, name) in rounds]
    return found[:count]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=45)
    arguments.add_argument("--kills", type=int, default=1, help="kills of each pair")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", action="append", default=[], help="only pairs of this optimizer")
    args = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen, same = pairs(args.pairs, args.only), 0
    with tempfile.TemporaryDirectory(prefix="zoo-pairs-") as folder:
        os.environ["ZOO_HOME"] = folder
        Path(folder, "registry.yaml").write_text(f"plugins: [{TASK}]\n", encoding="utf-8")
        for number, (optimizer, schedule) in enumerate(chosen):
            words = [f"trainer.optimizer={optimizer}", f"trainer.schedule={schedule}", "trainer.warmup=3"]
            rng = random.Random(args.seed + number)  # noqa: S311  # no secret
            words += OPTIONS.get(optimizer, [])
            place = Path(folder, str(number))
            place.mkdir()
            verdict = verify("optimizer-task", words, args.kills, place, rng)
            same += not verdict.difference
            newest = [f"of step {kill.step}" if kill.step >= 0 else "none" for kill in verdict.kills]
            print(
                f"{optimizer:20} {schedule:13} newest checkpoint when killed: {', '.join(newest)}; "
                f"{verdict.difference or 'identical'}",
                flush=True,
            )
    print(f"{same} of {len(chosen)} pairs identical, {len(chosen) * args.kills} kills")


if __name__ == "__main__":
    main()
