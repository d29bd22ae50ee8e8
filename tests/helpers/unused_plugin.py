"""A single-file plugin whose trainers leave out parameters, or gradients, that several processes exchange."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo

RANK = int(os.environ.get("RANK", "0"))


class Branches(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        freeze: bool = zoo.setting(False, "freeze the branch that may be unused")
        per_process: bool = zoo.setting(False, "start with other weights in each process")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.used = nn.Linear(3, 1)
        self.other = nn.Linear(3, 1)
        if config.per_process and RANK:
            nn.init.normal_(self.used.weight)
        if config.freeze:
            self.other.requires_grad_(False)

    def forward(self, point: Tensor, both: bool = True) -> Tensor:
        return self.used(point) + self.other(point) if both else self.used(point)


class Points(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        test_count: int = zoo.setting(5, "test points", ge=0)

    config: Config

    def train(self) -> zoo.InMemory:
        point = torch.linspace(-1, 1, 3 * 64).sin().view(3, 64).T.contiguous()
        return zoo.InMemory(point=point, height=point.sum(dim=1, keepdim=True))

    def test(self) -> zoo.InMemory:
        train = self.train().tensors
        return zoo.InMemory(**{name: train[name][: self.config.test_count] for name in ("point", "height")})


class BranchesTrainer(zoo.Trainer):
    supports_grad_accumulation = distributed_evaluation = True

    @dataclass(frozen=True, kw_only=True)
    class Config:
        kind: Literal[
            "all", "unused", "sometimes", "one-process", "twice", "original", "not-prepared", "added", "unfrozen",
            "two-backward", "warmup", "buffered",
        ] = zoo.setting("all", "what is left out")  # fmt: skip

    config: Config

    def setup(self, model: Branches, engine: zoo.Engine) -> None:
        kind = self.config.kind
        if kind == "unfrozen":
            model.other.requires_grad_(False)
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        if kind == "warmup":
            self.schedule = torch.optim.lr_scheduler.LambdaLR(sgd, lambda step: float(step > 1))
        if kind == "not-prepared":
            self.network, self.optimizer = model, sgd
        else:
            self.network, self.optimizer = engine.prepare(model, sgd)
        if kind == "unfrozen":
            model.other.requires_grad_(True)
        if kind == "added":
            model.other.extra = nn.Parameter(torch.ones(1))
            sgd.add_param_group({"params": [model.other.extra]})
        self.engine, self._model, self.steps = engine, model, 0

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        kind, point, height = self.config.kind, batch["point"], batch["height"]
        self.steps += 1
        both = {"unused": False, "sometimes": self.steps < 3, "one-process": not RANK}.get(kind, True)
        output = self._model(point) if kind in ("original", "warmup") else self.network(point, both)
        if kind == "twice":
            output = output + self.network(-point)
        if kind == "added":
            output = output * self._model.other.extra
        loss = F.mse_loss(output, height)
        self.optimizer.zero_grad()
        if kind == "two-backward":
            self.engine.backward(loss, inputs=list(self._model.used.parameters()))
            loss = loss.detach()
        else:
            self.engine.backward(loss)
        self.engine.clip(self._model, 1.0)
        self.optimizer.step()
        if kind == "warmup":
            self.schedule.step()
        return {"loss": loss.detach()}

    def evaluate(self, batches: Any, train_batches: Any) -> dict[str, float]:
        sums = torch.zeros(2)
        with torch.no_grad():
            for batch in batches:
                error = (self._model(batch["point"]) - batch["height"]).square().sum()
                sums += torch.stack([error, torch.tensor(float(len(batch["point"])))])
        error, count = self.engine.sum(sums).tolist()
        return {"error": error / count}


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model("branches", f"{__name__}:Branches", summary="Two branches")
    registry.dataset("points", f"{__name__}:Points", summary="Points")
    registry.trainer("branches", f"{__name__}:BranchesTrainer", summary="Leaves out gradients")
    run = {"steps": 6, "batch_size": 8, "log_every": 2, "checkpoint_every": 0, "preview_every": 0, "device": "cpu"}
    parts = {"model": {"name": "branches"}, "trainer": {"name": "branches"}, "dataset": {"name": "points"}}
    registry.recipe("branches", __file__, summary="Two branches", run=run, **parts)
