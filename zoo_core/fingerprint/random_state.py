"""The global random generators of the CPU, from which datasets and trainers draw: torch, NumPy and ``random``."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_cpu(seed: int) -> None:
    """Seed the generators.

    Without an accelerator, ``torch.manual_seed`` formats a stack trace per backend, which takes 0.3 ms.
    """
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Inside, draws from the generators, and seeding them, have no effect outside."""
    in_torch, in_numpy, in_random = torch.default_generator.get_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.default_generator.set_state(in_torch)
        np.random.set_state(in_numpy)
        random.setstate(in_random)


def generator_state(value: Any) -> Any:
    """The state of a generator of random numbers on the host; None for anything else."""
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator) and value.device.type == "cpu":
        return value.get_state().numpy().tobytes()
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        bits: Any = value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
        key = bits.state["state"].get("key")  # an array in some kinds, of which text shows the ends
        return str(bits.state), None if key is None else key.tobytes()
    return None
