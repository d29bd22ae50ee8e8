"""A trainer that writes a loss and metrics trains, evaluates and resumes as one that is written out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import supervised_plugin
import torch
import torch.nn.functional as F
from supervised_plugin import Words

import zoo_core as zoo
from zoo_core.config.command_line import PLUGIN_FILES
from zoo_core.errors import RunFailed
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.testing.collect import cases
from zoo_core.training.runner import run_recipe


def train(folder: Path, name: str, *overrides: str) -> Run:
    here = supervised_plugin.catalog()
    return run_recipe(resolve(here.recipe(name, *overrides), here), (), folder)


CASES = [
    case
    for name in ("per-example", "per-token")
    for case in cases(name, (), supervised_plugin.catalog())
    if case.check.name != "two-processes-agree"
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_passes_the_checks_of_a_recipe(case: Any) -> None:
    outcome = case.run()
    assert outcome.state != "failed", outcome.why


def test_the_checks_cover_parts_of_a_batch_unequal_batches_and_resumes() -> None:
    tried = {case.check.name: case.run().state for case in CASES if case.subject.name == "per-token"}
    for name in (
        "parts-have-the-gradients-of-the-batch",
        "metrics-do-not-depend-on-the-batch-size",
        "stop-and-resume-is-bit-identical",
        "step-can-be-captured",
    ):
        assert tried[name] == "passed", name


@pytest.mark.long
@pytest.mark.parametrize("name", ["per-example", "per-token"])
def test_two_processes_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGIN_FILES, supervised_plugin.__file__)  # for the processes that the check starts
    (case,) = [
        case for case in cases(name, (), supervised_plugin.catalog()) if case.check.name == "two-processes-agree"
    ]
    outcome = case.run()
    assert outcome.state == "passed", outcome.why


@pytest.mark.parametrize("batch_size", [1, 4, 8, 11])
def test_every_example_and_every_term_of_a_metric_counts_the_same(tmp_path: Path, batch_size: int) -> None:
    run = train(tmp_path / "run", "per-example", "trainer.learning_rate=0.3", f"run.batch_size={batch_size}")
    token = Words(Words.Config()).test().tensors["token"]
    score = run.model(token).detach()
    right, known = score.argmax(dim=2) == token, token != 0
    losses = F.cross_entropy(score.mT, token, ignore_index=0, reduction="none")
    expected = {
        "loss": losses.sum() / 11,
        "exact": right.all(dim=1).sum() / 11,
        "right": right.sum() / known.sum(),
    }
    assert run.test_metrics == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-5)


def test_the_loss_of_unequal_batches_is_a_mean_over_what_is_counted(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "per-token", "run.batch_size=4")
    token = Words(Words.Config()).test().tensors["token"]
    mean = F.cross_entropy(run.model(token).detach().mT, token, ignore_index=0)
    assert run.test_metrics["loss"] == pytest.approx(float(mean), rel=1e-5)


def test_the_optimizer_and_the_schedule_are_those_of_the_settings(tmp_path: Path) -> None:
    words = ("trainer.optimizer=sgd", "trainer.learning_rate=0.5", "trainer.weight_decay=0.25")
    trainer: Any = train(tmp_path / "run", "per-example", *words, "trainer.schedule=linear").trainer
    group = trainer.optimizer.param_groups[0]
    assert (group["initial_lr"], group["lr"], group["weight_decay"]) == (0.5, 0.0, 0.25)
    assert type(trainer.optimizer) is torch.optim.SGD


def test_gradients_are_clipped_if_it_is_set(tmp_path: Path) -> None:
    runs = [
        train(tmp_path / limit, "per-example", "run.steps=1", f"trainer.max_grad_norm={limit}") for limit in ("0", "1")
    ]
    norms = [run.model.table.weight.grad.norm() for run in runs]
    assert norms[0] > 1.5
    assert norms[1] == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("vector", "loss of Wrong returns a tensor of shape (8,), but should return a tensor of shape ()."),
        ("number", "loss of Wrong returns a float, but should return a tensor of shape ()."),
        ("detached", "loss of Wrong returns a tensor that does not depend on the trained parameters."),
        ("nothing", "metrics of Wrong returns None, but should return a mapping from names to tensors."),
        ("list", "metrics of Wrong returns a list, but should return a mapping from names to tensors."),
        ("loss", "metrics of Wrong gives 'loss', which is measured with its method loss."),
        ("vector-metric", "metrics of Wrong gives a tensor of shape (2,) as 'accuracy', but should give a tensor of"),
        ("names", "metrics of Wrong gives loss, last for one batch, and loss, first for another."),
    ],
)
def test_a_mistake_is_named_with_what_to_write(tmp_path: Path, wrong: str, message: str) -> None:
    with pytest.raises(RunFailed) as raised:
        train(tmp_path / "run", "wrong", f"trainer.wrong={wrong}", "run.steps=2")
    assert message in re.sub(r" \(helpers/supervised_plugin\.py, line \d+\)", "", raised.value.message, count=1)
    assert "(helpers/supervised_plugin.py, line " in raised.value.message
    assert raised.value.hint


def test_a_config_that_lacks_the_settings_of_the_base_class_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Short\.Config lacks .* Write `class Config\(zoo\.SupervisedTrainer\.Config\)"
    ):

        class Short(zoo.SupervisedTrainer):
            class Config:
                width: int = zoo.setting(3, "units")
