"""The peak arithmetic rate of the machine, measured with matrix products."""

from __future__ import annotations

import time

import torch

from zoo_core.engine.precision import computing_in, stored_dtype

_SECONDS = 0.1  # length of a round, and the most that a single product may take
_ROUNDS = 4
_SIZES = {"cpu": (128, 2048)}  # smallest and largest number of rows of the square matrices
_ACCELERATOR_SIZES = (1024, 8192)


def matrix_products(device: torch.device, precision: str) -> float:
    """Floating-point operations per second of large square matrix products: the best of several short rounds.

    This is close to the upper bound for any network; the fraction that a network reaches is its utilization.
    """
    size, largest = _SIZES.get(device.type, _ACCELERATOR_SIZES)
    with computing_in(precision, device):
        # A CPU without instructions for a precision is about a hundred times slower in it: large products would not
        # finish.
        while size < largest and _seconds_per_product(size, device, precision, once=True) < _SECONDS / 8:
            size *= 2
        return 2 * size**3 / min(_seconds_per_product(size, device, precision) for _ in range(_ROUNDS))


def _seconds_per_product(size: int, device: torch.device, precision: str, once: bool = False) -> float:
    dtype = stored_dtype(precision)
    left, right = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    result = torch.empty_like(left)
    torch.mm(left, right, out=result)  # the first call allocates memory
    count, seconds = 0, 0.0
    synchronize(device)
    start = time.perf_counter()
    while not count or (seconds < _SECONDS and not once):
        torch.mm(left, right, out=result)
        synchronize(device)
        count, seconds = count + 1, time.perf_counter() - start
    return seconds / count


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
