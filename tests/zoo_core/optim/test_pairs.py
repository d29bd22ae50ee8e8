"""Every optimizer with every schedule: an interrupted and resumed run gives the bits of an uninterrupted one."""

from __future__ import annotations

import by_name
import pytest
import tiny

from zoo_core.registry.builtin import builtin_names

# A sample of every kind of state: closures, averages, preconditioners, two optimizers in one, rates that are estimated.
SAMPLE = [
    ("adamw", "one-cycle"),
    ("lbfgs", "linear"),
    ("muon", "cosine"),
    ("prodigy", "wsd"),
    ("schedule-free-adamw", "constant"),
    ("soap", "step"),
]


def is_resumed_bit_for_bit(tmp_path, optimizer, schedule):
    words = by_name.words(optimizer, schedule)
    by_name.train(tmp_path / "whole", *words)
    by_name.train(tmp_path / "stopped", *words, callbacks=[tiny.Watcher(stop_at=5)])
    by_name.train(tmp_path / "stopped", resume=True, callbacks=[tiny.Watcher(stop_at=9)])
    by_name.train(tmp_path / "stopped", resume=True)
    return by_name.result_of(tmp_path / "stopped") == by_name.result_of(tmp_path / "whole")


@pytest.mark.parametrize(("optimizer", "schedule"), SAMPLE)
def test_a_run_of_the_sample_is_resumed_bit_for_bit(tmp_path, optimizer, schedule):
    assert is_resumed_bit_for_bit(tmp_path, optimizer, schedule)


@pytest.mark.long
@pytest.mark.parametrize("optimizer", builtin_names("optimizer"))
@pytest.mark.parametrize("schedule", builtin_names("schedule"))
def test_every_pair_is_resumed_bit_for_bit(tmp_path, optimizer, schedule):
    assert is_resumed_bit_for_bit(tmp_path, optimizer, schedule)


@pytest.mark.parametrize(("optimizer", "schedule"), SAMPLE)
def test_two_runs_of_a_pair_differ_from_those_of_another_seed_only(tmp_path, optimizer, schedule):
    words = by_name.words(optimizer, schedule)
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        by_name.train(tmp_path / name, *words, f"run.seed={seed}")
    results = {name: by_name.result_of(tmp_path / name) for name in ("one", "same", "other")}
    assert results["one"] == results["same"] != results["other"]
