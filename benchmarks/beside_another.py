"""Steps a second of a training that has the machine, and of two that share it, by how long threads wait awake.

A thread of libgomp that waits for the others of its operation first turns in place, GOMP_SPINCOUNT times, and keeps a
core that another process may need; then it sleeps, and must be woken. 300,000 is libgomp's own count where nothing is
said. The two trainings take their turns at the same time, and their steps are added.

    ZOO_DATA=FOLDER python benchmarks/beside_another.py
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import data_root, load_average, machine, ratios, said, spread, write
from taking_turns import Runner

COUNTS = (300_000, 10_000, 1_000, 0)
SCRIPT = str(Path(__file__).with_name("through_zoo.py").absolute())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn")
    parser.add_argument("--warm-up", type=int, default=60, help="steps before the first turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, metavar="GOMP_SPINCOUNT")
    parser.add_argument("--words", nargs="+", default=["clsgan-mnist-reference", "trainer.eval_classifier=null"])
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    before = load_average()
    alone: dict[int, list[float]] = {count: [] for count in given.counts}
    shared: dict[int, list[float]] = {count: [] for count in given.counts}
    command = [sys.executable, SCRIPT, *given.words, f"--threads={given.threads}"]
    with TemporaryDirectory() as folder, ExitStack() as ending, ThreadPoolExecutor(2) as both:
        pairs: dict[int, tuple[Runner, Runner]] = {}
        for count in given.counts:
            surroundings = {**os.environ, "ZOO_DATA": str(data_root()), "GOMP_SPINCOUNT": str(count)}
            started = []
            for which in range(2):
                runner = Runner(command, Path(folder, f"{count}-{which}"), surroundings, Path(folder))
                ending.callback(runner.end)
                runner.warm_up(given.warm_up)
                started.append(runner)
            pairs[count] = (started[0], started[1])
        for number in range(1, given.rounds + 1):
            for count, (one, other) in pairs.items():
                alone[count].append(one.turn(given.seconds))
                turns = [both.submit(runner.turn, given.seconds) for runner in (one, other)]
                shared[count].append(sum(turn.result() for turn in turns))
            rates = (f"{count}: {alone[count][-1]:.1f}, shared {shared[count][-1]:.1f}" for count in pairs)
            print(f"  round {number}: {'  '.join(rates)}", flush=True)
    first = given.counts[0]
    found = {f"alone, {count}/{first}": ratios(alone[count], alone[first]) for count in given.counts}
    found |= {f"shared/alone, {count}": ratios(shared[count], alone[count]) for count in given.counts}
    for count in given.counts:
        print(f"{count:8,}  alone {said(spread(alone[count]), 1)}, shared {said(spread(shared[count]), 1)} steps/s")
    for name, ratio in found.items():
        print(f"{name.ljust(28)}  {said(ratio, 3)}")
    load = {"before": before, "after": load_average()}
    print(f"threads: {given.threads}, load average before: {before}, afterwards: {load['after']}")
    result = {"machine": machine(), "threads": given.threads, "load_average": load, "words": given.words}
    write(given.output, {**result, "alone": alone, "shared": shared, "ratios": found})


if __name__ == "__main__":
    main()
