"""A run gives the same with captured steps as without. CUDA has a stand-in here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from replaying import Replaying

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.registry.resolve import resolve
from zoo_core.training import steps
from zoo_core.training.runner import run_recipe


class DeviceOnly(tiny.LineTrainer):
    """Does the work of the host in ``after_step``."""

    supports_grad_accumulation = True

    def step(self, batch):
        noise = torch.randn(3)
        loss = (self.model(batch["point"] + 0.01 * noise) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach(), "noise": noise.mean()}

    def after_step(self):
        self.done += 1
        self.schedule.step()
        self.average.update_parameters(self.engine.unwrap(self.model))


def train(folder: Path, *words: str, callbacks=()):
    recipe = tiny.RECIPE.with_overrides(["trainer.name=other", "run.device=cpu", *words])
    return run_recipe(resolve(recipe, tiny.catalog_with(DeviceOnly)), [*tiny.standard(), *callbacks], folder)


@pytest.fixture
def recorders(monkeypatch):
    """What has recorded the steps of runs from now on, which are captured on the CPU."""
    made = []

    class OnTheCpu(Replaying):
        def __init__(self, device):
            super().__init__(None)
            made.append(self)

    class Captured(steps._Captured):
        def __init__(self, run, engine):
            super().__init__(run, engine)
            made[-1].trainer = run.trainer

    def fit(optimizers, device):
        """As on CUDA, where learning rates are tensors."""
        for one in optimizers:
            for group in getattr(one, "param_groups", ()):
                group["lr"] = torch.as_tensor(group["lr"])

    monkeypatch.setattr(steps, "CudaGraphs", OnTheCpu)
    monkeypatch.setattr(steps, "_Captured", Captured)
    monkeypatch.setattr(AccelerateEngine, "why_not_captured", "")
    monkeypatch.setattr("zoo_core.engine.engine.fit_to_device", fit)
    monkeypatch.setattr("zoo_core.training.checkpoints.fit_to_device", fit)
    return made


def outcome(run):
    lines = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    return list(run.model.state_dict().values()), lines


@pytest.mark.parametrize(
    ("words", "graphs"),
    [
        ((), 1),
        (("run.grad_accumulation_steps=2",), 2),
        # The first, inner and last parts of a batch; inner ones again after the first, to whose gradients they add.
        (("run.grad_accumulation_steps=4",), 4),
        (("run.log_every=7", "run.evaluate_every=4", "run.preview_every=3"), 1),
    ],
)
def test_a_run_with_captured_steps_gives_the_same_weights_and_metrics(tmp_path, recorders, words, graphs):
    weights, lines = outcome(train(tmp_path / "captured", *words))
    assert [one.recorded for one in recorders] == [graphs]
    expected, expected_lines = outcome(train(tmp_path / "performed", "run.cuda_graph=off", *words))
    assert len(recorders) == 1
    assert all(map(torch.equal, weights, expected))
    assert lines == expected_lines


def test_a_run_with_captured_steps_that_is_resumed_gives_the_same(tmp_path, recorders, stops_at):
    whole, whole_lines = outcome(train(tmp_path / "whole"))
    train(tmp_path / "stopped", callbacks=(stops_at(17),))
    resolved = resolve(read_config(tmp_path / "stopped" / "config.yaml"), tiny.catalog_with(DeviceOnly))
    resumed, lines = outcome(run_recipe(resolved, tiny.standard(), tmp_path / "stopped", resume=True))
    assert [one.recorded for one in recorders] == [1, 1, 1]
    assert all(map(torch.equal, whole, resumed))
    assert lines == whole_lines


def test_a_trainer_that_does_the_work_of_the_host_in_its_steps_is_trained_as_it_is(tmp_path, recorders):
    with pytest.warns(UserWarning, match="the step of the trainer 'line' is not captured as a CUDA graph, which would"):
        run = tiny.train(tmp_path / "run")
    assert [one.recorded for one in recorders] == [0]
    assert run.step == 30


def test_a_step_that_has_to_be_captured_and_cannot_be_ends_the_run(tmp_path, recorders, monkeypatch):
    monkeypatch.setattr("zoo_core.engine.engine.refuse_unsupported", lambda *settings: None)  # the CPU
    with pytest.raises(
        zoo.RunFailed, match=r"run\.cuda_graph is 'on', but the step of the trainer 'line' cannot be cap"
    ):
        tiny.train(tmp_path / "run", "run.cuda_graph=on")


def test_captured_steps_are_refused_on_the_cpu(tmp_path):
    with pytest.raises(zoo.BadSetting, match=r"run\.cuda_graph is 'on', but the device is cpu") as error:
        train(tmp_path / "run", "run.cuda_graph=on")
    assert error.value.hint == "Write `run.cuda_graph=auto`, or leave it out."
