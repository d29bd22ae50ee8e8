"""Seeds derived from (seed, step, rank), so that a resumed run needs no saved random state."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derive(seed: int, *path: int | str) -> int:
    """A 63-bit seed for one purpose of a run, such as ``("step", 400, 0)``, independent of the seeds of all others."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *path))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_step(seed: int, step: int, rank: int, stream: str = "step") -> None:
    """Seed torch (on every device), NumPy and ``random`` for one step of one process."""
    derived = derive(seed, stream, step, rank)
    if torch.accelerator.is_available():
        torch.manual_seed(derived)
    else:  # without an accelerator, torch.manual_seed formats a stack trace per backend, which takes 0.3 ms
        torch.default_generator.manual_seed(derived)
    np.random.seed(derived % 2**32)
    random.seed(derived)
