"""Random numbers follow from seed, step and process."""

import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.data.seeding import derive, seed_step


def draws():
    return [torch.rand(1).item(), float(np.random.rand()), random.random()]  # noqa: S311  # as in a training


@given(st.integers(0, 2**63), st.integers(0, 10**9))
def test_a_derived_seed_fits_every_generator_and_depends_on_its_path(seed, step):
    derived = derive(seed, "step", step, 0)
    assert 0 <= derived < 2**63
    assert derived == derive(seed, "step", step, 0)
    paths = [(seed, "step", step, 0), (seed, "step", step, 1), (seed, "step", step + 1, 0), (seed, "order", step, 0)]
    paths.append((seed + 1, "step", step, 0))
    assert len({derive(*path) for path in paths}) == len(paths)


def test_seeds_do_not_change_between_versions():
    assert derive(0, "step", 0, 0) == 2479051276930749941


def test_torch_numpy_and_random_are_seeded():
    seed_step(0, 5, 0)
    first = draws()
    draws()
    seed_step(0, 5, 0)
    assert draws() == first


def test_another_step_process_seed_or_stream_gives_other_random_numbers():
    seen = []
    for arguments in [(0, 5, 0), (0, 6, 0), (0, 5, 1), (1, 5, 0), (0, 5, 0, "evaluate")]:
        seed_step(*arguments)
        seen += draws()
    assert len(set(seen)) == len(seen)
