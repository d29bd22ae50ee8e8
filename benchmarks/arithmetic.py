"""What share of the machine's own matrix products a training reaches: `zoo bench` of a recipe at several batch sizes.

Operations of a step are counted by PyTorch, the products of large matrices are measured in the same process before and
after, and the batch sizes take turns.

    ZOO_DATA=FOLDER python benchmarks/arithmetic.py --batch-sizes 64 512
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import load_average, machine, said, spread, write

ZOO = str(Path(sys.executable).with_name("zoo"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="clsgan-mnist-reference")
    parser.add_argument("words", nargs="*", default=["trainer.judge=null"], metavar="KEY=VALUE")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each bench")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    before = load_average()
    benches: dict[int, list[dict[str, float]]] = {size: [] for size in given.batch_sizes}
    with TemporaryDirectory() as folder:
        for _ in range(given.rounds):
            for size, found in benches.items():
                words = [given.recipe, *given.words, f"run.batch_size={size}", "--device", "cpu"]
                command = [ZOO, "bench", *words, "--seconds", str(given.seconds), "--json"]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
                found.append(json.loads(done.stdout)["measured"]["training step"])
    compared = {f"share of peak, batch {n}": spread([one["share_of_peak"] for one in benches[n]]) for n in benches}
    for size, found in benches.items():
        rate = spread([one["flops_per_second"] / 1e9 for one in found])
        peak = spread([one["peak_flops_per_second"] / 1e9 for one in found])
        share = compared[f"share of peak, batch {size}"]
        print(f"batch {size:4}  {said(rate, 1)} of {said(peak, 1)} GFLOP/s: {said(share, 3)}")
    loads = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {loads['after']}")
    write(given.output, {"machine": machine(), "load_average": loads, "benches": benches, "ratios": compared})


if __name__ == "__main__":
    main()
