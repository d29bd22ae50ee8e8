"""What the machine itself can do."""

from __future__ import annotations

import time

import torch

_SECONDS = 0.1  # of a round, and what a single product may take
_ROUNDS = 4
_SIDES = {"cpu": (128, 2048)}  # of the matrices, the least and the most
_SIDES_OF_OTHERS = (1024, 8192)


def matrix_products(device: torch.device, precision: str) -> float:
    """Floating-point operations a second of products of large square matrices, in the best of some short rounds.

    No network does better than that by much; what share of it one reaches says how well it uses the device.
    """
    side, most = _SIDES.get(device.type, _SIDES_OF_OTHERS)
    # A CPU without instructions for a precision is some hundred times slower in it, and would not come to an end.
    while side < most and _seconds_of_product(side, device, precision, once=True) < _SECONDS / 8:
        side *= 2
    return 2 * side**3 / min(_seconds_of_product(side, device, precision) for _ in range(_ROUNDS))


def _seconds_of_product(side: int, device: torch.device, precision: str, once: bool = False) -> float:
    dtype = getattr(torch, precision)
    left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    result = torch.empty_like(left)
    torch.mm(left, right, out=result)  # the first one allocates
    count, seconds = 0, 0.0
    synchronize(device)
    began = time.perf_counter()
    while not count or (seconds < _SECONDS and not once):
        torch.mm(left, right, out=result)
        synchronize(device)
        count, seconds = count + 1, time.perf_counter() - began
    return seconds / count


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
