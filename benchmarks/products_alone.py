"""Matrix products of a recipe's training step with nothing between them: what no way of training it could exceed.

The products are those that PyTorch calls in one step, in their order and of their shapes and layouts, each with
matrices of its own, as in the step, where every layer's are others. It prints the operations a second of them, and
those of products of large square matrices before and after; their ratio is what a step could reach that does nothing
else.

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
from zoo_core.registry.resolve import complete
from zoo_core.tools.bench.machine import matrix_products
from zoo_core.training.assemble import try_out

aten = torch.ops.aten
_PRODUCTS = (aten.mm.default, aten.addmm.default)


class Products(TorchDispatchMode):
    """Keeps every product of matrices that is called inside, to be called again."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], Tensor]] = []
        self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, given: Sequence[Any] = (), options: Any = None) -> Any:
        if function in _PRODUCTS:
            left, right = given[-2:]
            self.operations += 2 * left.shape[0] * left.shape[1] * right.shape[1]
            self.calls.append(partial(function, *map(_alike, given)))
        return function(*given, **(options or {}))


def _alike(tensor: Tensor) -> Tensor:
    """Another tensor of the same values, shape and layout."""
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    return copy.copy_(tensor.detach())


def record(recipe: str, words: Sequence[str]) -> Products:
    catalog = Catalog()
    loop = try_out(complete(catalog.recipe(recipe, "run.device=cpu", *words), catalog), catalog)
    for _ in range(2):
        loop.run.trainer.step(next(loop.batches))
    with Products() as products:
        loop.run.trainer.step(next(loop.batches))
    return products


def rate(products: Products, seconds: float) -> float:
    """Operations a second."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for call in products.calls:
            call()
        count += 1
    return count * products.operations / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--recipe", default="clsgan-mnist-reference")
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    data_root()
    torch.set_flush_denormal(True)
    products = record(given.recipe, given.words)
    rate(products, given.seconds / 4)
    before = matrix_products(torch.device("cpu"), "float32")
    reached = rate(products, given.seconds)
    peak = max(before, matrix_products(torch.device("cpu"), "float32"))
    told = {"products": len(products.calls), "operations": products.operations, "peak_fraction": reached / peak}
    print(json.dumps({**told, "flops_per_second": reached, "peak_flops_per_second": peak}))


if __name__ == "__main__":
    main()
