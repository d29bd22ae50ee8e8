"""Steps per second of unet-moving-mnist: a bare loop and zoo, taking turns.

The same network, batches, loss, optimizer, schedule and averaged weights in the same precision, each in its own
process with the same number of threads.

bare   unet_bare_loop.py: batches that lie in memory, nothing logged
zoo    through_zoo.py: zoo's runner with metrics file, TensorBoard, pictures and progress; clips made as they are needed

    ZOO_DATA=FOLDER python benchmarks/unet_speed.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import data_root, load_average, machine, write
from taking_turns import compare, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument("--warm-up", type=int, default=60, help="steps before the first turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    scripts = {
        "bare": ("unet_bare_loop.py", f"--precision={given.precision}"),
        "zoo": ("through_zoo.py", "unet-moving-mnist", f"run.precision={given.precision}"),
    }
    before = load_average()
    with TemporaryDirectory() as folder:
        rates, memory = compare(scripts, given, Path(folder), data_root())
    compared = report(rates, memory)
    load = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {load['after']}")
    result = {"machine": machine(), "threads": given.threads, "precision": given.precision, "load_average": load}
    write(given.output, {**result, "steps_per_second": rates, "memory": memory, "ratios": compared})


if __name__ == "__main__":
    main()
