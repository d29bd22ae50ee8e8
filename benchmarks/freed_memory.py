"""Steps a second of a training on the CPU that keeps the memory it freed, against one whose malloc is left alone.

Both are `digit-classifier-mnist` through zoo; the other is told MALLOC_ARENA_MAX, and what the environment says of
malloc zoo leaves as it is.

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
    parser.add_argument("--words", nargs="+", default=["digit-classifier-mnist"])
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    before = load_average()
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "GLIBC_"))]:
        del os.environ[name]
    script = ("through_zoo.py", *given.words)
    with TemporaryDirectory() as folder:
        sides = {"left-alone": script, "zoo": script}
        rates, memory = compare(sides, given, Path(folder), data_root(), {"left-alone": LEFT_ALONE})
    compared = report(rates, memory)
    load = {"before": before, "after": load_average()}
    print(f"threads: {given.threads}, load average before: {before}, afterwards: {load['after']}")
    result = {"machine": machine(), "threads": given.threads, "load_average": load, "words": given.words}
    write(given.output, {**result, "steps_per_second": rates, "memory": memory, "ratios": compared})


if __name__ == "__main__":
    main()
