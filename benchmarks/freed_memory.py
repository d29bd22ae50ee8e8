"""Steps per second of a training on the CPU with zoo's malloc settings, which keep freed memory, and with the defaults.

Both train `digit-classifier-mnist` with zoo; for the defaults MALLOC_ARENA_MAX is set, since zoo does not change malloc
settings if the environment has any.

    ZOO_DATA=FOLDER python benchmarks/freed_memory.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import data_root, load_average, machine, write
from taking_turns import compare, report

LEFT_ALONE = {"MALLOC_ARENA_MAX": str(8 * (os.cpu_count() or 1))}  # glibc's own number of arenas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn")
    parser.add_argument("--warm-up", type=int, default=30, help="steps before the first turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--run", nargs="+", default=["digit-classifier-mnist"])
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    before = load_average()
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "GLIBC_"))]:
        del os.environ[name]
    script = ("through_zoo.py", *args.run)
    with TemporaryDirectory() as folder:
        sides = {"left-alone": script, "zoo": script}
        rates, memory = compare(sides, args, Path(folder), data_root(), {"left-alone": LEFT_ALONE})
    compared = report(rates, memory)
    load = {"before": before, "after": load_average()}
    print(f"threads: {args.threads}, load average before: {before}, afterwards: {load['after']}")
    result = {"machine": machine(), "threads": args.threads, "load_average": load, "run": args.run}
    write(args.output, {**result, "steps_per_second": rates, "memory": memory, "ratios": compared})


if __name__ == "__main__":
    main()
