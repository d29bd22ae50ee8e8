"""The random generators of the CPU are seeded, and kept, together."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from zoo_core.fingerprint.random_state import random_state_kept, seed_cpu


def draws():
    return [torch.rand(1).item(), float(np.random.rand()), random.random()]  # noqa: S311  # as a dataset does


def seed_and_fail():
    with random_state_kept():
        seed_cpu(7)
        draws()
        raise ZeroDivisionError


def test_seeding_seeds_all_of_them():
    seed_cpu(2**40 + 3)
    first = draws()
    draws()
    seed_cpu(2**40 + 3)
    assert draws() == first
    seed_cpu(4)
    assert not set(draws()) & set(first)


def test_what_is_drawn_and_seeded_inside_has_no_effect_outside_even_after_an_error():
    seed_cpu(1)
    expected = draws()
    seed_cpu(1)
    with pytest.raises(ZeroDivisionError):
        seed_and_fail()
    assert draws() == expected
