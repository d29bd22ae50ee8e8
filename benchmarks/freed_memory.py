"""Steps a second of a training on the CPU that keeps the memory it freed, against one whose malloc is left alone.

Both are `digit-classifier-mnist` through zoo; the other is told MALLOC_ARENA_MAX, and what the environment says of
malloc zoo leaves as it is.

    ZOO_DATA=FOLDER python benchmarks/freed_memory.py
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import data_root, load_average, machine, write
from taking_turns import Runner, report

SCRIPT = str(Path(__file__).with_name("through_zoo.py").absolute())
SIDES = {"left-alone": {"MALLOC_ARENA_MAX": str(8 * (os.cpu_count() or 1))}, "zoo": {}}  # glibc's own number of arenas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn")
    parser.add_argument("--warm-up", type=int, default=30, help="steps before the first turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--words", nargs="+", default=["digit-classifier-mnist"])
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    before = load_average()
    command = [sys.executable, SCRIPT, *given.words, f"--threads={given.threads}"]
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    rates: dict[str, list[float]] = {name: [] for name in SIDES}
    with TemporaryDirectory() as folder, ExitStack() as ending:
        runners: dict[str, Runner] = {}
        for name, told in SIDES.items():
            environment = {**surroundings, "ZOO_DATA": str(data_root()), **told}
            runners[name] = Runner(command, Path(folder, name), environment, Path(folder))
            ending.callback(runners[name].end)
            runners[name].warm_up(given.warm_up)
        for number in range(1, given.rounds + 1):
            for name, runner in runners.items():
                rates[name].append(runner.turn(given.seconds))
            told = "  ".join(f"{name} {values[-1]:.2f}" for name, values in rates.items())
            print(f"  round {number}: {told}", flush=True)
        memory = {name: runner.peak_memory() for name, runner in runners.items()}
    compared = report(rates, memory)
    load = {"before": before, "after": load_average()}
    print(f"threads: {given.threads}, load average before: {before}, afterwards: {load['after']}")
    result = {"machine": machine(), "threads": given.threads, "load_average": load, "words": given.words}
    write(given.output, {**result, "steps_per_second": rates, "memory": memory, "ratios": compared})


if __name__ == "__main__":
    main()
