"""Products of large square matrices, one after the other: the most arithmetic that the machine does in a second.

What share of it a training reaches says how well it uses the machine. A product of two n x n matrices has 2 n^3
operations. It prints GFLOP/s.

    python benchmarks/matrix_products.py
"""

from __future__ import annotations

import argparse
import time

import torch
from taking_turns import Ticks

SIZE = 2048


def operations(size: int) -> int:
    """Floating-point operations of one product."""
    return int(2 * size**3)


def multiply(count: int, size: int, dtype: torch.dtype) -> None:
    left, right = (torch.rand(size, size).to(dtype) for _ in range(2))
    result, ticks = torch.empty_like(left), Ticks()
    for _ in range(count):
        torch.mm(left, right, out=result)
        ticks.tick()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000, help="products")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size", type=int, default=SIZE, help="rows and columns of a matrix")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    started = time.perf_counter()
    multiply(given.steps, given.size, getattr(torch, given.dtype))
    print(f"{given.steps * operations(given.size) / (time.perf_counter() - started) / 1e9:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
