"""The matrix products of a recipe's training step with nothing between them: an upper bound for its arithmetic rate.

The products are those that PyTorch calls in one step, in the same order and with the same shapes and layouts, each with
its own matrices. It prints their operations per second, those of large square matrix products before and after, and the
ratio of the two.

    ZOO_DATA=FOLDER python benchmarks/products_alone.py trainer.eval_classifier=null run.batch_size=64
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from measuring import data_root
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.tools.bench.machine import matrix_products
from zoo_core.training.assemble import try_out

aten = torch.ops.aten
_PRODUCTS = (aten.mm.default, aten.addmm.default)


class Products(TorchDispatchMode):
    """Records every matrix product that is called in its context, so that it can be called again."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], Tensor]] = []
        self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        if function in _PRODUCTS:
            left, right = args[-2:]
            self.operations += 2 * left.shape[0] * left.shape[1] * right.shape[1]
            self.calls.append(partial(function, *map(_copy, args)))
        return function(*args, **(kwargs or {}))


def _copy(tensor: Tensor) -> Tensor:
    """A copy with the same values, shape and layout."""
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    return copy.copy_(tensor.detach())


def record(recipe: str, overrides: Sequence[str]) -> Products:
    catalog = Catalog()
    loop = try_out(resolve(catalog.recipe(recipe, "run.device=cpu", *overrides), catalog))
    for _ in range(2):
        loop.run.trainer.step(next(loop.batches))
    with Products() as products:
        loop.run.trainer.step(next(loop.batches))
    return products


def rate(products: Products, seconds: float) -> float:
    """Operations per second."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for call in products.calls:
            call()
        count += 1
    return count * products.operations / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--recipe", default="clsgan-mnist-reference")
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    data_root()
    torch.set_flush_denormal(True)
    products = record(args.recipe, args.overrides)
    rate(products, args.seconds / 4)
    before = matrix_products(torch.device("cpu"), "float32")
    reached = rate(products, args.seconds)
    peak = max(before, matrix_products(torch.device("cpu"), "float32"))
    result = {"products": len(products.calls), "operations": products.operations, "peak_fraction": reached / peak}
    print(json.dumps({**result, "flops_per_second": reached, "peak_flops_per_second": peak}))


if __name__ == "__main__":
    main()
