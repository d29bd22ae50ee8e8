"""A plugin, as a single file, whose runs tell which process saw what; nothing in them is drawn, so they compare."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

import zoo_core as zoo

RANK = os.environ.get("RANK", "0")


class Two(zoo.Model):
    """Two networks without batch statistics, one of which learns from the other, as a generator does."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(16, "hidden units", ge=1)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.first = nn.Sequential(nn.Linear(3, config.width), nn.GELU(), nn.Linear(config.width, 1))
        self.second = nn.Sequential(nn.Linear(1, config.width), nn.GELU(), nn.Linear(config.width, 1))


class One(Two):
    """A network alone."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        del self.second

    def forward(self, point: Tensor) -> Tensor:
        return self.first(point)


class Numbered(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        count: int = zoo.setting(130, "points to train on", ge=1)
        evaluated: int = zoo.setting(13, "points to measure on", ge=1)

    config: Config

    def train(self) -> zoo.InMemory:
        return self._points(self.config.count)

    def test(self) -> zoo.InMemory:
        return self._points(self.config.evaluated)

    def _points(self, count: int) -> zoo.InMemory:
        point = torch.linspace(-1, 1, 3 * count).sin().view(3, count).T.contiguous()
        return zoo.InMemory(number=torch.arange(count), point=point, height=point.sum(dim=1, keepdim=True))


class _Telling(zoo.Trainer):
    """Writes the numbers of what a process trains on and measures into ``trainer.told``."""

    supports_grad_accumulation = distributed_evaluation = True

    @dataclass(frozen=True, kw_only=True)
    class Config:
        told: str = zoo.setting("", "folder for what was seen")
        kill_at: int = zoo.setting(0, "process 1 is killed in this step")
        hang_at: int = zoo.setting(0, "process 1 raises in this step")

    config: Config

    def tell(self, what: str, numbers: Tensor) -> None:
        if self.config.told:
            with Path(self.config.told, f"{what}-{RANK}").open("a") as file:
                file.write(" ".join(map(str, numbers.tolist())) + "\n")

    def fail(self, step: int) -> None:
        if RANK == "1" and step + 1 == self.config.kill_at:
            os.kill(os.getpid(), 9)
        if RANK == "1" and step + 1 == self.config.hang_at:
            raise ValueError("process 1 has its own trouble")

    def evaluate(self, batches: Any, train_batches: Any) -> dict[str, float]:
        found = torch.zeros(2)
        with torch.no_grad():
            for batch in batches:
                self.tell("evaluated", batch["number"])
                error = (self.first(batch["point"]) - batch["height"]).abs().sum()
                found += torch.stack([torch.tensor(float(len(batch["point"]))), error])
        count, error = self.engine.sum(found).tolist()
        return {"error": error / count, "count": count}

    def preview(self, batch: zoo.Batch) -> Tensor:
        return self.first(batch["point"]).detach().sigmoid().view(-1, 1, 1, 1).expand(-1, 1, 4, 4)


class OneTrainer(_Telling):
    def setup(self, model: One, engine: zoo.Engine) -> None:
        adam = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
        self.schedule = LinearLR(adam, total_iters=20)
        self.first, self.optimizer = engine.prepare(model, adam)
        self.engine, self.done = engine, 0

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.fail(self.done)
        self.tell("trained", batch["number"])
        loss = (self.first(batch["point"]) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.engine.clip(self.first, 1.0)
        self.optimizer.step()
        if self.engine.updating:
            self.done += 1
            self.schedule.step()
        return {"loss": loss.detach()}


class TwoTrainer(_Telling):
    def setup(self, model: Two, engine: zoo.Engine) -> None:
        of_first = torch.optim.Adam(model.first.parameters(), lr=1e-2)
        of_second = torch.optim.Adam(model.second.parameters(), lr=1e-2)
        self.first, self.first_optimizer = engine.prepare(model.first, of_first)
        self.second, self.second_optimizer = engine.prepare(model.second, of_second)
        self.engine, self._model = engine, model

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        made = self.first(batch["point"])
        loss = self.engine.unwrap(self.second)(made).square().mean() + 0.1 * (made - batch["height"]).square().mean()
        self.first_optimizer.zero_grad()
        self.engine.backward(loss, inputs=list(self._model.first.parameters()))
        self.first_optimizer.step()

        both = self.second(torch.cat([batch["height"], made.detach()])).chunk(2)
        second_loss = (both[0] - 1).square().mean() + both[1].square().mean()
        self.second_optimizer.zero_grad()
        self.engine.backward(second_loss)
        self.second_optimizer.step()
        return {"loss": loss.detach(), "second_loss": second_loss.detach()}


class Whole(OneTrainer):
    """Says nothing of parts, nor of shares."""

    supports_grad_accumulation = distributed_evaluation = False


@zoo.hookimpl
def zoo_evaluated(run: Any) -> None:
    if told := run.recipe.settings("trainer").get("told"):
        Path(told, f"heard-{RANK}").touch()


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.dataset("numbered", f"{__name__}:Numbered", summary="Points with numbers")
    run = {"steps": 12, "batch_size": 64, "log_every": 3, "checkpoint_every": 4, "preview_every": 6, "device": "cpu"}
    for name, model, trainer in (
        ("one", "One", "OneTrainer"),
        ("two", "Two", "TwoTrainer"),
        ("whole", "One", "Whole"),
    ):
        registry.model(name, f"{__name__}:{model}", summary=name)
        registry.trainer(name, f"{__name__}:{trainer}", summary=name)
        parts = {"model": {"name": name}, "trainer": {"name": name}, "dataset": {"name": "numbered"}}
        registry.recipe(name, __file__, summary=name, run=run, **parts)
