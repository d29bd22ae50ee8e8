"""Products of large square matrices: the peak arithmetic rate of the machine, which other benchmarks are compared with.

A product of two n x n matrices has 2 n^3 operations. It prints GFLOP/s.

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
    parser.add_argument("--steps", type=int, default=1_000_000, help="number of products")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size", type=int, default=SIZE, help="rows and columns of each matrix")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    started = time.perf_counter()
    multiply(args.steps, args.size, getattr(torch, args.dtype))
    print(f"{args.steps * operations(args.size) / (time.perf_counter() - started) / 1e9:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
