"""Schedule-free optimizers: averaged weights are evaluated and published, and training goes on with the others."""

from __future__ import annotations

import by_name
import pytest
import torch
from safetensors.torch import load_file

from zoo_core.errors import BadSetting
from zoo_core.optim.averages import averages_in_place


@pytest.fixture
def trained(tmp_path):
    """A schedule-free optimizer after some steps."""
    return by_name.train(tmp_path / "run", *by_name.words("schedule-free-adamw", "constant")).trainer.optimizer


def values(optimizer):
    return [one.detach().clone() for group in optimizer.param_groups for one in group["params"]]


def test_the_parameters_hold_averages_inside_and_are_the_same_bits_afterwards(trained):
    trained.train()  # a run leaves the averages in place
    before = values(trained)
    with averages_in_place([trained]):
        inside = values(trained)
        assert not all(map(torch.equal, before, inside))
    assert all(map(torch.equal, before, values(trained)))
    assert all(group["train_mode"] for group in trained.param_groups)


def test_a_published_run_holds_the_averages(trained):
    published = values(trained)
    trained.eval()
    assert all(map(torch.equal, published, values(trained)))
    assert not any(group["train_mode"] for group in trained.param_groups)


@pytest.mark.parametrize("optimizer", ["schedule-free-adamw", "schedule-free-sgd", "schedule-free-radam"])
def test_evaluating_changes_no_bit_of_the_training(tmp_path, optimizer):
    words = by_name.words(optimizer, "constant")
    by_name.train(tmp_path / "never", *words)
    by_name.train(tmp_path / "often", *words, "run.evaluate_every=2")
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("never", "often"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_weights_are_not_averaged_twice(tmp_path):
    words = by_name.words("schedule-free-adamw", "constant")
    with pytest.raises(BadSetting) as refused:
        by_name.train(tmp_path / "run", *words, "run.ema_decay=0.9")
    assert refused.value.message == (
        "run.ema_decay is 0.9, but the optimizer ScheduleFreeAdamW averages the weights itself."
    )
    assert refused.value.hint == "Write `run.ema_decay=0`, or choose another optimizer."
    assert not (tmp_path / "run").exists()
