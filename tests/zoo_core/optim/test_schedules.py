"""Learning rates of every schedule, step by step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zoo_core.optim import schedules
from zoo_core.registry.builtin import builtin_names


def rates(name, total_steps, warmup_steps=0, after=0, **options):
    """The learning rate of each step, of a learning rate of 1."""
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
    schedule = getattr(schedules, name.replace("-", "_"))(optimizer, total_steps, warmup_steps, **options)
    found = []
    for _ in range(total_steps + after):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("constant", {}, [1, 1, 1, 1]),
        ("linear", {}, [1, 0.75, 0.5, 0.25]),
        ("linear", {"end": 0.5}, [1, 0.875, 0.75, 0.625]),
        ("polynomial", {}, [1, 0.5625, 0.25, 0.0625]),
        ("cosine", {}, [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)]),
        ("exponential", {"end": 0.0001}, [1, 0.1, 0.01, 0.001]),
        ("inverse-sqrt", {"timescale": 1}, [1, 2**-0.5, 3**-0.5, 0.5]),
        ("step", {}, [1, 1, 0.1, 0.01]),
        ("step", {"milestones": (1, 0.75), "gamma": 0.5}, [1, 0.5, 0.5, 0.25]),
        ("wsd", {"decay": 0.5, "shape": "linear"}, [1, 1, 1, 0.5]),
        ("wsd", {"decay": 4}, [1, 0.5, 1 - 0.5**0.5, 1 - 0.75**0.5]),
    ],
)
def test_the_learning_rates_of_four_steps(name, options, expected):
    assert rates(name, 4, **options) == pytest.approx(expected)


def test_cosine_is_that_of_torch():
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    found = []
    for _ in range(10):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates("cosine", 10) == pytest.approx(found)


def test_one_cycle_is_that_of_torch():
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=100, pct_start=0.2, cycle_momentum=False)
    found = []
    for step in range(100):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < 99:
            theirs.step()
    assert rates("one-cycle", 100, 20) == found


def test_one_cycle_rises_from_a_25th_and_falls_to_almost_nothing():
    found = rates("one-cycle", 100, after=1)
    assert found[0] == pytest.approx(0.04)
    assert found.index(max(found)) == 29
    assert max(found) == 1
    assert found[-1] == pytest.approx(0.04 / 1e4)


@pytest.mark.parametrize("name", builtin_names("schedule"))
@pytest.mark.parametrize("total_steps", [0, 1, 2, 7])
@pytest.mark.parametrize("warmup_steps", [0, 1, 5, 20])
def test_every_schedule_has_learning_rates_for_any_number_of_steps(name, total_steps, warmup_steps):
    found = rates(name, total_steps, warmup_steps, after=3)
    assert all(0 <= rate <= 1 for rate in found)
    assert all(rate > 0 for rate in found[:total_steps])


@pytest.mark.parametrize("name", [name for name in builtin_names("schedule") if name != "one-cycle"])
def test_a_warm_up_rises_in_equal_parts_to_the_learning_rate(name):
    assert rates(name, 100, 4)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])


@pytest.mark.parametrize("name", [name for name in builtin_names("schedule") if name not in ("constant", "step")])
def test_after_the_last_step_the_learning_rate_stays_as_it_is(name):
    found = rates(name, 10, 2, after=20)
    assert len(set(found[10:])) == 1


def test_every_group_keeps_its_part_of_the_learning_rate():
    module = nn.Linear(2, 1)
    groups = [{"params": [module.weight], "lr": 1.0}, {"params": [module.bias], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    schedule = schedules.cosine(optimizer, 4, 0)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])


@pytest.mark.parametrize("name", builtin_names("schedule"))
def test_a_longer_run_that_is_resumed_has_the_rates_of_its_own_length(name):
    def made(total_steps):
        optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
        return getattr(schedules, name.replace("-", "_"))(optimizer, total_steps, 2)

    def advance(schedule, steps):
        for _ in range(steps):
            schedule.optimizer.step()
            schedule.step()

    short, resumed, long = made(10), made(40), made(40)
    advance(short, 10)
    resumed.load_state_dict(short.state_dict())
    advance(resumed, 10)
    advance(long, 20)
    assert resumed.get_last_lr() == long.get_last_lr()


def test_the_last_part_of_wsd_is_no_longer_than_the_run():
    assert rates("wsd", 4, decay=100, shape="linear") == pytest.approx([1, 0.75, 0.5, 0.25])
