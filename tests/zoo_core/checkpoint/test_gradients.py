"""Gradients that a trainer adds to in the next step are part of a checkpoint, others are not."""

from __future__ import annotations

import pytest
import tiny
import torch

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe


class EveryOther(tiny.LineTrainer):
    """Accumulates the gradients of two steps by itself."""

    def step(self, batch):
        self.done += 1
        loss = (self.model(batch["point"]) - batch["height"]).square().mean()
        self.engine.backward(loss / 2)
        if self.done % 2 == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()
        return {"loss": loss.detach()}


class SomeParameters(tiny.LineTrainer):
    """Its optimizer has the matrices only, and clears only their gradients; all gradients are clipped."""

    def setup(self, model, engine):
        super().setup(model, engine)
        matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
        self.optimizer = torch.optim.SGD(matrices, lr=0.1)
        self.schedule = torch.optim.lr_scheduler.ConstantLR(self.optimizer)

    def step(self, batch):
        loss = (self.model(batch["point"]) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.engine.clip(self.model, 0.5)
        self.optimizer.step()
        return {"loss": loss.detach()}


def train(folder, trainer, *words, callbacks=(), resume=False):
    recipe = tiny.RECIPE.with_overrides(["run.device=cpu", "run.steps=9", "trainer.name=other", *words])
    return run_recipe(resolve(recipe, tiny.catalog_with(trainer)), callbacks, folder, resume)


@pytest.mark.parametrize("trainer", [EveryOther, SomeParameters])
@pytest.mark.parametrize("stop_at", [1, 3, 5, 6])
def test_a_run_that_is_resumed_between_two_steps_that_belong_together_is_exact(tmp_path, trainer, stop_at):
    whole = train(tmp_path / "whole", trainer)
    train(tmp_path / "run", trainer, callbacks=(tiny.Watcher(stop_at=stop_at),))
    resumed = train(tmp_path / "run", trainer, resume=True)
    tensors = resumed.model.state_dict()
    assert [name for name, one in whole.model.state_dict().items() if not torch.equal(one, tensors[name])] == []


def test_gradients_that_every_step_clears_are_not_kept(tmp_path):
    train(tmp_path / "run", tiny.LineTrainer, "run.checkpoint_every=4")
    _, state, _ = checkpoint.load_newest(tmp_path / "run" / "checkpoints")
    assert "run.gradients" not in state
