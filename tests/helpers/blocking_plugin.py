"""A plugin whose recipe ``blocking`` works for a minute in the part of a run that the environment variable BLOCK names.

``BLOCK=step:sleep`` sleeps in step 5, ``step:compute`` computes in C, ``step:child`` waits for another process.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import zoo_core as zoo


def block(part: str) -> None:
    """Work for a minute if BLOCK names this part; the line BLOCKED on stderr says so."""
    wanted, _, how = os.environ.get("BLOCK", "").partition(":")
    if part != wanted:
        return
    os.write(2, b"\nBLOCKED\n")
    if how == "compute":
        torch.linalg.svd(torch.randn(9000, 9000))
    elif how == "child":
        subprocess.run(["sleep", "60"], check=True)
    elif how == "loop":
        end = time.monotonic() + 60
        while time.monotonic() < end:
            pass
    else:
        time.sleep(60)


block("import")


class Network(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        block("model")
        self.layer = nn.Linear(1, 1)

    def forward(self, number: Tensor) -> Tensor:
        return self.layer(number)

    def predict(self, number: float = 1.0) -> float:
        block("predict")
        return float(self.layer(torch.tensor([[number]])))


class Numbers:
    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index == 7:
            block("example")
        return {"number": torch.tensor([float(index)])}


class Data(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    config: Config

    def train(self) -> Any:
        block("data")
        return Numbers()

    def test(self) -> Any:
        return zoo.InMemory(number=torch.ones(8, 1))

    def fingerprint(self) -> str:
        return zoo.fingerprint_tensors({}, {})  # the default would read the example that blocks


class Trainer(zoo.Trainer):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    config: Config
    protocol = "Nothing is measured"

    def setup(self, model: Network, engine: zoo.Engine) -> None:
        block("setup")
        self.model, self.optimizer = engine.prepare(model, torch.optim.SGD(model.parameters(), lr=1e-6))
        self.engine, self.done = engine, 0

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.done += 1
        if self.done == 1:
            block("first step")
        if self.done == 5:
            block("step")
        time.sleep(0.02)
        loss = self.model(batch["number"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> dict[str, float]:
        block("test" if self.done == 12 else "validation")
        return {"count": float(sum(len(batch["number"]) for batch in batches))}

    def preview(self, batch: zoo.Batch) -> Tensor:
        block("preview")
        return torch.zeros(1, 1, 4, 4)

    def finalize(self) -> None:
        block("finalize")


@zoo.hookimpl
def zoo_run_started(run: zoo.Run) -> None:
    block("start hook")


@zoo.hookimpl
def zoo_checkpoint_saved(run: zoo.Run, step: int) -> None:
    block("checkpoint hook")


@zoo.hookimpl
def zoo_run_finished(run: zoo.Run) -> None:
    block("end hook")


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    block("register")
    parts = {}
    for kind, name in (("model", "Network"), ("dataset", "Data"), ("trainer", "Trainer")):
        getattr(registry, kind)("blocking", f"{__name__}:{name}", summary="Blocks")
        parts[kind] = {"name": "blocking"}
    run = {"steps": 12, "batch_size": 8, "log_every": 2, "checkpoint_every": 3, "preview_every": 4}
    run |= {"evaluate_every": 6, "device": "cpu", "threads": 1}
    registry.recipe("blocking", __file__, summary="Blocks", run=run, **parts)
