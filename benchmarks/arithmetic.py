"""The arithmetic rate of a training relative to large matrix products: `zoo bench` of a recipe at several batch sizes.

PyTorch counts the operations of a step, large matrix products are measured in the same process before and after, and
the batch sizes alternate. products_alone.py, which gives an upper bound for any training step, is measured as well.

    ZOO_DATA=FOLDER python benchmarks/arithmetic.py --batch-sizes 64 512
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measuring import format_spread, load_average, machine, spread, write

PRODUCTS_ALONE = str(Path(__file__).with_name("products_alone.py"))
ZOO = str(Path(sys.executable).with_name("zoo"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="clsgan-mnist-reference")
    parser.add_argument("overrides", nargs="*", default=["trainer.eval_classifier=null"], metavar="KEY=VALUE")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    before = load_average()
    benches: dict[int, list[dict[str, float]]] = {size: [] for size in args.batch_sizes}
    alone: dict[int, list[dict[str, float]]] = {size: [] for size in args.batch_sizes}
    with TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            for size, found in benches.items():
                overrides = [*args.overrides, f"run.batch_size={size}"]
                seconds = ["--seconds", str(args.seconds)]
                bench = [ZOO, "bench", args.recipe, *overrides, "--device", "cpu", *seconds, "--json"]
                found.append(answer(bench, folder)["measurements"]["training step"])
                products = [sys.executable, PRODUCTS_ALONE, "--recipe", args.recipe, *overrides, *seconds]
                alone[size].append(answer(products, folder))
    compared = {f"fraction of peak, batch {n}": fractions(benches[n]) for n in benches}
    compared |= {f"products alone, batch {n}": fractions(alone[n]) for n in alone}
    for size, found in benches.items():
        rate = spread([one["flops_per_second"] / 1e9 for one in found])
        peak = spread([one["peak_flops_per_second"] / 1e9 for one in found])
        fraction = format_spread(compared[f"fraction of peak, batch {size}"], 3)
        bound = format_spread(compared[f"products alone, batch {size}"], 3)
        print(f"batch {size:4}  {format_spread(rate, 1)} of {format_spread(peak, 1)} GFLOP/s: {fraction}; ", end="")
        print(f"products alone {bound}")
    loads = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {loads['after']}")
    write(
        args.output,
        {"machine": machine(), "load_average": loads, "benches": benches, "alone": alone, "ratios": compared},
    )


def answer(command: list[str], folder: str) -> Any:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def fractions(found: list[dict[str, float]]) -> dict[str, float]:
    return spread([one["peak_fraction"] for one in found])


if __name__ == "__main__":
    main()
