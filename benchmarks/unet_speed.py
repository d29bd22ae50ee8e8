"""Steps per second of unet-moving-mnist: a bare loop, a U-Net of another library with Lightning, and zoo, taking turns.

bare      unet_bare_loop.py: zoo's network, batches in memory, nothing logged
smp       unet_smp_lightning.py: the U-Net of segmentation_models_pytorch with about the same number of operations, with
          Lightning; clips generated during training
zoo       through_zoo.py: zoo with metrics file, TensorBoard, preview images and progress; clips generated during
          training
products  matrix_products.py: products of large square matrices, the peak rate that the others are compared with

The batches, loss, optimizer, schedule, EMA weights and precision are the same, and each runs in its own process with
the same number of threads. Operations are those of convolutions and matrix products, as PyTorch counts them. GFLOP/s
are the operations of a step times steps/s, which is the fairer comparison, since the networks of smp and zoo differ.

    ZOO_DATA=FOLDER python benchmarks/unet_speed.py --base 32
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matrix_products
from measuring import data_root, format_spread, installed, load_average, machine, ratios, spread, write
from taking_turns import compare, report
from unet_networks import BASES, RECIPE, operations, overrides, smp_unet, zoo_unet

PACKAGES = {"bare": (), "smp": ("lightning", "segmentation_models_pytorch")}
NETWORKS = {"bare": zoo_unet, "smp": smp_unet, "zoo": zoo_unet}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=5.0, help="minimum length of a turn, which ends with a step")
    parser.add_argument("--warm-up", type=int, default=60, help="steps before the first turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--base", type=int, choices=BASES, default=16, help="channels of the U-Net's first stage")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--against", nargs="+", choices=PACKAGES, help="otherwise all that is installed")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    args = parser.parse_args()
    against = args.against or installed(PACKAGES)
    before = load_average()
    counted = {name: args.batch_size * operations(NETWORKS[name](args.base)) for name in (*against, "zoo")}
    counted["products"] = matrix_products.operations(matrix_products.SIZE)
    with TemporaryDirectory() as folder:
        rates, memory = compare(scripts(against, args), args, Path(folder), data_root())
    compared = report({name: rates[name] for name in rates if name != "products"}, memory) | arithmetic(rates, counted)
    load = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {load['after']}")
    options = {name: getattr(args, name) for name in ("threads", "seconds", "base", "batch_size", "precision")}
    result: dict[str, Any] = {"machine": machine(), **options, "load_average": load, "operations_of_a_step": counted}
    write(args.output, {**result, "steps_per_second": rates, "memory": memory, "ratios": compared})


def scripts(against: Sequence[str], args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    shape = (f"--base={args.base}", f"--batch-size={args.batch_size}", f"--precision={args.precision}")
    of = {"bare": ("unet_bare_loop.py", *shape), "smp": ("unet_smp_lightning.py", *shape)}
    through_zoo = ("through_zoo.py", RECIPE, *overrides(args.base, args.batch_size, args.precision))
    products = ("matrix_products.py", f"--size={matrix_products.SIZE}", f"--dtype={args.precision}")
    return {"products": products, **{name: of[name] for name in against}, "zoo": through_zoo}


def arithmetic(rates: Mapping[str, Sequence[float]], counted: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Print the GFLOP/s of each, and its fraction of the peak in the same round; returns fractions and ratios."""
    done = {name: [counted[name] * rate / 1e9 for rate in values] for name, values in rates.items()}
    compared = {
        f"fraction of peak, {name}": ratios(done[name], done["products"]) for name in done if name != "products"
    }
    for name, values in done.items():
        fraction = compared.get(f"fraction of peak, {name}")
        of_peak = f", {format_spread(fraction, 3)} of the peak" if fraction else ""
        rate = format_spread(spread(values), 1)
        print(f"{name.ljust(10)}  {counted[name] / 1e9:.2f} GFLOP per step, {rate} GFLOP/s{of_peak}")
    if "smp" in done:
        compared["GFLOP/s of zoo/smp"] = ratios(done["zoo"], done["smp"])
        print(f"{'GFLOP/s of zoo/smp'.ljust(28)}  {format_spread(compared['GFLOP/s of zoo/smp'], 3)}")
    return compared


if __name__ == "__main__":
    main()
