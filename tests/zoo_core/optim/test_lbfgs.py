"""L-BFGS by name."""

from __future__ import annotations

import by_name
import pytest

from zoo_core.errors import BadSetting


def test_a_trainer_without_a_closure_is_told_to_pass_one(tmp_path):
    with pytest.raises(BadSetting) as raised:
        by_name.train(tmp_path / "run", "trainer.optimizer=lbfgs", "trainer.closure=false")
    assert str(raised.value).splitlines() == [
        "trainer.optimizer is 'lbfgs', which needs a closure, but the trainer calls optimizer.step() without.",
        "  Choose another one, or write `self.optimizer.step(closure)` in the trainer; it fits every optimizer.",
    ]


def test_a_trainer_with_a_closure_trains(tmp_path):
    run = by_name.train(tmp_path / "run", *by_name.words("lbfgs", "constant"), "run.steps=40")
    assert run.test_metrics["error"] < 0.3


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_a_closure_changes_nothing_for_other_optimizers(tmp_path, optimizer):
    for name in ("true", "false"):
        by_name.train(tmp_path / name, f"trainer.optimizer={optimizer}", f"trainer.closure={name}")
    (_, metrics), (_, without) = (by_name.result_of(tmp_path / name) for name in ("true", "false"))
    assert metrics == without
