"""Steps per second of one training alone, and of two that run at the same time, for several values of GOMP_SPINCOUNT.

A thread of libgomp that waits for the others of its operation first spins GOMP_SPINCOUNT times, and occupies a core
that another process may need; then it sleeps, and waking it takes time. The default of libgomp is 300,000. The steps of
the two trainings are added.

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

from measuring import data_root, format_spread, load_average, machine, ratios, spread, write
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
    parser.add_argument("--run", nargs="+", default=["clsgan-mnist-reference", "trainer.eval_classifier=null"])
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    before = load_average()
    alone: dict[int, list[float]] = {count: [] for count in args.counts}
    shared: dict[int, list[float]] = {count: [] for count in args.counts}
    command = [sys.executable, SCRIPT, *args.run, f"--threads={args.threads}"]
    with TemporaryDirectory() as folder, ExitStack() as cleanup, ThreadPoolExecutor(2) as executor:
        pairs: dict[int, tuple[Runner, Runner]] = {}
        for count in args.counts:
            environment = {**os.environ, "ZOO_DATA": str(data_root()), "GOMP_SPINCOUNT": str(count)}
            started = []
            for which in range(2):
                runner = Runner(command, Path(folder, f"{count}-{which}"), environment, Path(folder))
                cleanup.callback(runner.end)
                runner.warm_up(args.warm_up)
                started.append(runner)
            pairs[count] = (started[0], started[1])
        for number in range(1, args.rounds + 1):
            for count, (one, other) in pairs.items():
                alone[count].append(one.turn(args.seconds))
                turns = [executor.submit(runner.turn, args.seconds) for runner in (one, other)]
                shared[count].append(sum(turn.result() for turn in turns))
            rates = (f"{count}: {alone[count][-1]:.1f}, shared {shared[count][-1]:.1f}" for count in pairs)
            print(f"  round {number}: {'  '.join(rates)}", flush=True)
    first = args.counts[0]
    found = {f"alone, {count}/{first}": ratios(alone[count], alone[first]) for count in args.counts}
    found |= {f"shared/alone, {count}": ratios(shared[count], alone[count]) for count in args.counts}
    for count in args.counts:
        rates = [format_spread(spread(values[count]), 1) for values in (alone, shared)]
        print(f"{count:8,}  alone {rates[0]}, shared {rates[1]} steps/s")
    for name, ratio in found.items():
        print(f"{name.ljust(28)}  {format_spread(ratio, 3)}")
    load = {"before": before, "after": load_average()}
    print(f"threads: {args.threads}, load average before: {before}, afterwards: {load['after']}")
    result = {"machine": machine(), "threads": args.threads, "load_average": load, "run": args.run}
    write(args.output, {**result, "alone": alone, "shared": shared, "ratios": found})


if __name__ == "__main__":
    main()
