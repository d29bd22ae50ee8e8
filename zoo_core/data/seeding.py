"""Seeds derived from (seed, step, rank) or from the place of an example, so that no random state needs to be saved."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, *path: int | str) -> int:
    """A 63-bit seed for one purpose of a run, such as ``("step", 400, 0)``, independent of the seeds of all others."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *path))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_step(seed: int, step: int, rank: int, stream: str = "step") -> None:
    """Seed torch (on every device), NumPy and ``random`` for one step of one process."""
    derived = derive(seed, stream, step, rank)
    seed_cpu(derived)
    if torch.accelerator.is_available():  # torch.manual_seed would also format a stack trace for all others
        torch.get_device_module().manual_seed(derived)


def seed_cpu(derived: int) -> None:
    """Seed the global generators of the CPU: torch, NumPy and ``random``.

    Without an accelerator, ``torch.manual_seed`` formats a stack trace per backend, which takes 0.3 ms.
    """
    torch.default_generator.manual_seed(derived)
    np.random.seed(derived % 2**32)
    random.seed(derived)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Inside, draws from the global generators of the CPU, and seeding them, have no effect outside."""
    in_torch, in_numpy, in_random = torch.default_generator.get_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.default_generator.set_state(in_torch)
        np.random.set_state(in_numpy)
        random.setstate(in_random)
