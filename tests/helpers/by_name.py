"""A trainer that takes its optimizer and schedule by name, and a recipe whose runs take milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

import zoo_core as zoo
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.training.runner import run_recipe

RECIPE = Recipe(
    "by-name",
    {
        "summary": "A line through points, by any optimizer",
        "model": {"name": "line"},
        "dataset": {"name": "points"},
        "trainer": {"name": "by-name", "learning_rate": 0.01},
        "run": {"steps": 12, "batch_size": 8, "log_every": 3, "checkpoint_every": 100, "device": "cpu"},
    },
)

# What some optimizers need beside their name: rates that they estimate themselves, and enough steps of other parts.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "dadapt-adam": ("trainer.learning_rate=1.0",),
    "lbfgs": ("trainer.optimizer_options.max_iter=3", "trainer.learning_rate=0.05"),
    "prodigy": ("trainer.learning_rate=1.0",),
    "soap": ("trainer.optimizer_options.precondition_frequency=2",),
    "sparse-adam": ("model.name=sparse",),
}


class SparseLine(tiny.Line):
    """Adds a height that depends on the octant of the point, from an embedding with sparse gradients."""

    def __init__(self, config: tiny.Line.Config) -> None:
        super().__init__(config)
        self.layers.requires_grad_(False)
        self.octant = nn.Embedding(8, 1, sparse=True)

    def forward(self, point: Tensor) -> Tensor:
        octant = ((point > 0) * torch.tensor([1, 2, 4])).sum(1)
        return super().forward(point) + self.octant(octant).squeeze(1)


class ByNameTrainer(zoo.Trainer):
    @dataclass(frozen=True, kw_only=True)
    class Config(zoo.OptimizerConfig):
        noise: float = zoo.setting(0.01, "standard deviation of the noise that is added to points", ge=0)
        closure: bool = zoo.setting(True, "compute the loss in a closure, which the optimizer calls")

    config: Config

    def setup(self, model: tiny.Line, engine: zoo.Engine) -> None:
        self.engine = engine
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        point = batch["point"] + self.config.noise * torch.randn(3)

        def closure() -> Tensor:
            loss: Tensor = (self.model(point) - batch["height"]).square().mean()
            self.optimizer.zero_grad()
            self.engine.backward(loss)
            return loss

        if self.config.closure:
            return {"loss": self.optimizer.step(closure).detach()}
        loss = closure()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def after_step(self) -> None:
        self.schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Any, train_batches: Any) -> dict[str, float]:
        self.model.eval()
        errors = [(self.model(batch["point"]) - batch["height"]).abs().mean() for batch in batches]
        self.model.train()
        return {"error": float(torch.stack(errors).mean())}


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        registry.model("sparse", "by_name:SparseLine", summary="A line and heights of octants")
        registry.trainer("by-name", "by_name:ByNameTrainer", summary="Least squares with any optimizer")
        registry.trainer("two-networks", "by_name:TwoNetworksTrainer", summary="Least squares, twice")
        registry.optimizer("halving", "by_name:Halving", summary="Halves the weights")
        registry.optimizer("nothing", "by_name:something_else", summary="Is none")
        registry.schedule("sawtooth", "by_name:Sawtooth", summary="Falls several times")
        registry.schedule("no-schedule", "by_name:something_else", summary="Is none")


def catalog() -> Catalog:
    here = tiny.catalog()
    here.plugins.add("by-name", Plugin())
    return here


def words(optimizer: str, schedule: str) -> list[str]:
    """The overrides for a pair."""
    options = OPTIONS.get(optimizer, ())
    return [f"trainer.optimizer={optimizer}", f"trainer.schedule={schedule}", "trainer.warmup=3", *options]


def train(folder: Path, *overrides: str, callbacks: list[object] | None = None, resume: bool = False) -> Run:
    """The run of the recipe in ``folder``, new or resumed."""
    recipe = read_config(folder / "config.yaml") if resume else RECIPE
    resolved = resolve(recipe.with_overrides(overrides), catalog())
    return run_recipe(resolved, [*standard(), *(callbacks or [])], folder, resume)


def result_of(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "model.safetensors").read_bytes(), (folder / "metrics.jsonl").read_bytes()


class Halving(torch.optim.Optimizer):
    """An optimizer of a plugin: weights are multiplied by a factor."""

    def __init__(self, params: Any, lr: float, factor: float = 0.5) -> None:
        super().__init__(params, {"lr": lr, "factor": factor})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(group["factor"])
        return loss


class Sawtooth(LRScheduler):
    """A schedule of a plugin."""

    def __init__(self, optimizer: torch.optim.Optimizer, total_steps: int, warmup_steps: int, teeth: int = 2) -> None:
        self.length, self.teeth = max(total_steps // teeth, 1), teeth
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        fraction = 1 - (self.last_epoch % self.length) / self.length
        return [rate * fraction for rate in self.base_lrs]


def something_else(optimizer: Any, *unused: Any, lr: float = 0) -> dict[str, int]:
    return {}


class TwoNetworksTrainer(zoo.Trainer):
    """Holds its networks, optimizers and schedules in containers, and has settings of its own for each."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(0.01, "learning rate of the model")

    config: Config

    def setup(self, model: tiny.Line, engine: zoo.Engine) -> None:
        self.engine = engine
        critic = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)).to(engine.device)
        settings = [
            zoo.OptimizerConfig(learning_rate=self.config.learning_rate, schedule="cosine"),
            zoo.OptimizerConfig(optimizer="sgd", learning_rate=0.1, optimizer_options={"momentum": 0.9}),
        ]
        made = [engine.optimizer(*pair) for pair in zip([model, critic], settings, strict=True)]
        self.networks = {"model": made[0][0], "critic": made[1][0]}
        self.optimizers = [made[0][1], made[1][1]]
        self.schedules = (made[0][2], made[1][2])
        self.history: list[Any] = [{"count": 0}, made[0][2]]

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        metrics = {}
        for (name, network), optimizer in zip(self.networks.items(), self.optimizers, strict=True):
            point = batch["point"] + 0.01 * torch.randn(3)
            loss = (network(point).view(-1) - batch["height"]).square().mean()
            optimizer.zero_grad()
            self.engine.backward(loss)
            optimizer.step()
            metrics[name] = loss.detach()
        return metrics

    def after_step(self) -> None:
        for schedule in self.schedules:
            schedule.step()
        self.history[0]["count"] += 1
