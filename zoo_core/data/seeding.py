"""Seeds derived from (seed, step, rank) or from the place of an example, so that no random state needs to be saved."""

from __future__ import annotations

import hashlib

import torch

from zoo_core.fingerprint.random_state import seed_cpu


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
