"""Steps per second of unet-moving-mnist: a bare loop, a U-Net of another library under Lightning, and zoo, by turns.

bare      unet_bare_loop.py: zoo's network, batches that lie in memory, nothing logged
smp       unet_smp_lightning.py: segmentation_models_pytorch's U-Net with about as many operations, under Lightning;
          clips made as they are needed
zoo       through_zoo.py: zoo's runner with metrics file, TensorBoard, pictures and progress; clips made as they are
          needed
products  matrix_products.py: products of large square matrices, the peak that the others' arithmetic is compared with

The same batches, loss, optimizer, schedule and averaged weights in the same precision, each in its own process with the
same number of threads. Operations are those of convolutions and matrix products, as PyTorch counts them. GFLOP/s are
the operations of a step times steps/s; the networks of smp and zoo are not the same, so that is the fairer figure.

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
from measuring import data_root, installed, load_average, machine, ratios, said, spread, write
from taking_turns import compare, report
from unet_networks import BASES, RECIPE, operations, smp_unet, words, zoo_unet

PACKAGES = {"bare": (), "smp": ("lightning", "segmentation_models_pytorch")}
NETWORKS = {"bare": zoo_unet, "smp": smp_unet, "zoo": zoo_unet}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn, or of a step that takes longer")
    parser.add_argument("--warm-up", type=int, default=60, help="steps before the first turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--base", type=int, choices=BASES, default=16, help="channels of the U-Net's first stage")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--against", nargs="+", choices=PACKAGES, help="otherwise all that is installed")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    against = given.against or installed(PACKAGES)
    before = load_average()
    counted = {name: given.batch_size * operations(NETWORKS[name](given.base)) for name in (*against, "zoo")}
    counted["products"] = matrix_products.operations(matrix_products.SIZE)
    with TemporaryDirectory() as folder:
        rates, memory = compare(scripts(against, given), given, Path(folder), data_root())
    compared = report({name: rates[name] for name in rates if name != "products"}, memory) | arithmetic(rates, counted)
    load = {"before": before, "after": load_average()}
    print(f"load average before: {before}, afterwards: {load['after']}")
    asked = {name: getattr(given, name) for name in ("threads", "seconds", "base", "batch_size", "precision")}
    result: dict[str, Any] = {"machine": machine(), **asked, "load_average": load, "operations_of_a_step": counted}
    write(given.output, {**result, "steps_per_second": rates, "memory": memory, "ratios": compared})


def scripts(against: Sequence[str], given: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    shape = (f"--base={given.base}", f"--batch-size={given.batch_size}", f"--precision={given.precision}")
    of = {"bare": ("unet_bare_loop.py", *shape), "smp": ("unet_smp_lightning.py", *shape)}
    through_zoo = ("through_zoo.py", RECIPE, *words(given.base, given.batch_size, given.precision))
    products = ("matrix_products.py", f"--size={matrix_products.SIZE}", f"--dtype={given.precision}")
    return {"products": products, **{name: of[name] for name in against}, "zoo": through_zoo}


def arithmetic(rates: Mapping[str, Sequence[float]], counted: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Print the GFLOP/s of each, and its share of those of the products in the same round; gives shares and ratios."""
    done = {name: [counted[name] * rate / 1e9 for rate in values] for name, values in rates.items()}
    compared = {f"share of peak, {name}": ratios(done[name], done["products"]) for name in done if name != "products"}
    for name, values in done.items():
        share = compared.get(f"share of peak, {name}")
        of_peak = f", {said(share, 3)} of the products'" if share else ""
        print(f"{name.ljust(10)}  {counted[name] / 1e9:.2f} GFLOP a step, {said(spread(values), 1)} GFLOP/s{of_peak}")
    if "smp" in done:
        compared["GFLOP/s of zoo/smp"] = ratios(done["zoo"], done["smp"])
        print(f"{'GFLOP/s of zoo/smp'.ljust(28)}  {said(compared['GFLOP/s of zoo/smp'], 3)}")
    return compared


if __name__ == "__main__":
    main()
