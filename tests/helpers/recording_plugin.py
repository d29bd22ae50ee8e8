"""A single-file plugin whose runs record which process used which examples.

Nothing in them is random, so that runs in one and in several processes can be compared.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

import zoo_core as zoo

RANK = os.environ.get("RANK", "0")


def kill_at(place: str) -> None:
    """End process $KILL_RANK (1) by the signal $KILL_SIGNAL (SIGKILL) at $KILL_AT: a step, or ``setup``."""
    if place == os.environ.get("KILL_AT") and os.environ.get("KILL_RANK", "1") == RANK:
        os.kill(os.getpid(), int(os.environ.get("KILL_SIGNAL", "9")))


class Two(zoo.Model):
    """Two networks without batch statistics, one trained through the other, as a generator is."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(16, "hidden units", ge=1)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.first = nn.Sequential(nn.Linear(3, config.width), nn.GELU(), nn.Linear(config.width, 1))
        self.second = nn.Sequential(nn.Linear(1, config.width), nn.GELU(), nn.Linear(config.width, 1))


class One(Two):
    """A single network."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        del self.second

    def forward(self, point: Tensor) -> Tensor:
        return self.first(point)


class Numbered(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        count: int = zoo.setting(130, "points to train on", ge=1)
        test_count: int = zoo.setting(13, "points of the test split", ge=1)

    config: Config

    def train(self) -> zoo.InMemory:
        return self._points(self.config.count)

    def test(self) -> zoo.InMemory:
        return self._points(self.config.test_count)

    def _points(self, count: int) -> zoo.InMemory:
        point = torch.linspace(-1, 1, 3 * count).sin().view(3, count).T.contiguous()
        return zoo.InMemory(number=torch.arange(count), point=point, height=point.sum(dim=1, keepdim=True))


class _RecordingTrainer(zoo.Trainer):
    """Writes the indices of the examples that a process trains and evaluates on into the folder ``trainer.record``."""

    supports_grad_accumulation = distributed_evaluation = True

    @dataclass(frozen=True, kw_only=True)
    class Config:
        record: str = zoo.setting("", "folder for the indices")
        raise_at: int = zoo.setting(0, "process 1 raises in this step")

    config: Config

    def write_indices(self, what: str, indices: Tensor) -> None:
        if self.config.record:
            with Path(self.config.record, f"{what}-{RANK}").open("a") as file:
                file.write(" ".join(map(str, indices.tolist())) + "\n")

    def fail(self, step: int) -> None:
        kill_at(str(step + 1))
        if RANK == "1" and step + 1 == self.config.raise_at:
            raise ValueError("process 1 fails")

    def evaluate(self, batches: Any, train_batches: Any) -> dict[str, float]:
        totals = torch.zeros(2)
        with torch.no_grad():
            for batch in batches:
                self.write_indices("evaluated", batch["number"])
                error = (self.first(batch["point"]) - batch["height"]).abs().sum()
                totals += torch.stack([torch.tensor(float(len(batch["point"]))), error])
        count, error = self.engine.sum(totals).tolist()
        return {"error": error / count, "count": count}

    def preview(self, batch: zoo.Batch) -> Tensor:
        return self.first(batch["point"]).detach().sigmoid().view(-1, 1, 1, 1).expand(-1, 1, 4, 4)


class OneTrainer(_RecordingTrainer):
    def setup(self, model: One, engine: zoo.Engine) -> None:
        kill_at("setup")
        adam = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
        self.schedule = LinearLR(adam, total_iters=20)
        self.first, self.optimizer = engine.prepare(model, adam)
        self.engine, self.done = engine, 0

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.fail(self.done)
        self.write_indices("trained", batch["number"])
        loss = (self.first(batch["point"]) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.engine.clip(self.first, 1.0)
        self.optimizer.step()
        if self.engine.updating:
            self.done += 1
            self.schedule.step()
        return {"loss": loss.detach()}


class Copying(OneTrainer):
    """Holds a copy of the network."""

    def setup(self, model: One, engine: zoo.Engine) -> None:
        self.copy = copy.deepcopy(model)
        super().setup(model, engine)


class TwoTrainer(_RecordingTrainer):
    def setup(self, model: Two, engine: zoo.Engine) -> None:
        first_optimizer = torch.optim.Adam(model.first.parameters(), lr=1e-2)
        second_optimizer = torch.optim.Adam(model.second.parameters(), lr=1e-2)
        self.first, self.first_optimizer = engine.prepare(model.first, first_optimizer)
        self.second, self.second_optimizer = engine.prepare(model.second, second_optimizer)
        self.engine, self._model = engine, model

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        generated = self.first(batch["point"])
        loss = (
            self.engine.unwrap(self.second)(generated).square().mean()
            + 0.1 * (generated - batch["height"]).square().mean()
        )
        self.first_optimizer.zero_grad()
        self.engine.backward(loss, inputs=list(self._model.first.parameters()))
        self.first_optimizer.step()

        scores = self.second(torch.cat([batch["height"], generated.detach()])).chunk(2)
        second_loss = (scores[0] - 1).square().mean() + scores[1].square().mean()
        self.second_optimizer.zero_grad()
        self.engine.backward(second_loss)
        self.second_optimizer.step()
        return {"loss": loss.detach(), "second_loss": second_loss.detach()}


class Unsupporting(OneTrainer):
    """Supports neither gradient accumulation nor distributed evaluation."""

    supports_grad_accumulation = distributed_evaluation = False


@zoo.hookimpl
def zoo_evaluated(run: Any) -> None:
    if record := run.recipe.settings("trainer").get("record"):
        Path(record, f"hook-{RANK}").touch()


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.dataset("numbered", f"{__name__}:Numbered", summary="Numbered points")
    run = {"steps": 12, "batch_size": 64, "log_every": 3, "checkpoint_every": 4, "preview_every": 6, "device": "cpu"}
    for name, model, trainer in (
        ("one", "One", "OneTrainer"),
        ("copying", "One", "Copying"),
        ("two", "Two", "TwoTrainer"),
        ("unsupporting", "One", "Unsupporting"),
    ):
        registry.model(name, f"{__name__}:{model}", summary=name)
        registry.trainer(name, f"{__name__}:{trainer}", summary=name)
        parts = {"model": {"name": name}, "trainer": {"name": name}, "dataset": {"name": "numbered"}}
        registry.recipe(name, __file__, summary=name, run=run, **parts)
