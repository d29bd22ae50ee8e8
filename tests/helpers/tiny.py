"""A plugin whose runs take milliseconds: linear regression by a trainer with every kind of state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import zoo_core as zoo
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.runs.run import Run
from zoo_core.training.runner import run_recipe

RECIPE = Recipe(
    "line",
    {
        "summary": "A line through points",
        "model": {"name": "line"},
        "dataset": {"name": "points"},
        "trainer": {"name": "line"},
        "run": {"steps": 30, "batch_size": 8, "log_every": 5, "checkpoint_every": 10, "preview_every": 10},
    },
)
METADATA = {"model": "line", "config": {"inputs": 3}}  # the minimal metadata of a weights file


class Line(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        inputs: int = zoo.setting(3, "coordinates of a point", ge=1)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(nn.Linear(config.inputs, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    def forward(self, point: Tensor) -> Tensor:
        return self.layers(point).squeeze(1)


class Points(zoo.Dataset):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        count: int = zoo.setting(50, "points to train on", ge=1)
        warn: bool = zoo.setting(False, "warn that these are not the real points")
        apart: bool = zoo.setting(False, "have a validation split of three points that differs from the test split")

    config: Config

    def train(self) -> zoo.InMemory:
        if self.config.warn:
            import warnings

            warnings.warn("these are not the real points", stacklevel=2)
        return self._points(self.config.count)

    def test(self) -> zoo.InMemory:
        return self._points(12)

    def validation(self) -> zoo.Examples:
        return self._points(3) if self.config.apart else super().validation()

    def _points(self, count: int) -> zoo.InMemory:
        point = torch.linspace(-1, 1, 3 * count).sin().view(3, count).T.contiguous()
        return zoo.InMemory(point=point, height=point.sum(dim=1))


class LineTrainer(zoo.Trainer):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(1e-2, "learning rate of Adam", gt=0)
        break_setup: bool = zoo.setting(False, "raise in setup")
        raise_at: int = zoo.setting(0, "raise in this step; 0 disables it")
        nan_at: int = zoo.setting(0, "return NaN as the loss in this step; 0 disables it")
        nan_weights_at: int = zoo.setting(0, "set weights to NaN after computing the loss of this step; 0 disables it")
        allocate_at: int = zoo.setting(0, "allocate too much memory in this step; 0 disables it")
        draws: Literal["images", "clips", "words", "nothing at all"] = zoo.setting(
            "images", "what previews are: images, clips of six frames, or an error"
        )
        says: Literal["loss", "step"] = zoo.setting("loss", "name of the loss among the metrics")
        metric: Literal["number", "text"] = zoo.setting("number", "type of the evaluation metric")

    config: Config
    protocol = "Mean absolute error of the heights"

    def setup(self, model: Line, engine: zoo.Engine) -> None:
        if self.config.break_setup:
            raise RuntimeError("this trainer cannot be set up")
        adam = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
        self.schedule = LinearLR(adam, total_iters=20)
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        self.model, self.optimizer = engine.prepare(model, adam)
        self.engine, self.done, self.drawn = engine, 0, torch.zeros(3)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.done += 1
        if self.done == self.config.raise_at:
            raise ValueError("this trainer fails")
        if self.done == self.config.allocate_at:
            torch.empty(2**50, dtype=torch.uint8)
        noise = torch.randn(3)
        self.drawn += noise
        loss = (self.model(batch["point"] + 0.01 * noise) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.engine.unwrap(self.model))
        if self.done == self.config.nan_weights_at:
            with torch.no_grad():
                self.engine.unwrap(self.model).layers[0].weight.fill_(torch.nan)
        return {self.config.says: loss.detach() if self.done != self.config.nan_at else torch.tensor(torch.nan)}

    def evaluate(self, batches: Any, train_batches: Any) -> dict[str, float]:
        model = self.engine.unwrap(self.model).eval()
        with torch.no_grad():
            errors = [float((model(batch["point"]) - batch["height"]).abs().sum()) for batch in batches]
        model.train()
        points = sum(len(batch["point"]) for batch in batches)
        if self.config.metric == "text":
            return {"error": "low"}  # type: ignore[dict-item]
        return {"error": sum(errors) / points, "error/points": points}

    def preview(self, batch: zoo.Batch) -> Tensor:
        count = min(4, len(batch["point"]))
        if self.config.draws == "nothing at all":
            raise ValueError("nothing can be drawn")
        if self.config.draws == "words":
            return ["two", "words"]  # type: ignore[return-value]
        shapes = {"images": (count, 1, 5, 5), "clips": (count, 6, 1, 5, 5)}
        return torch.rand(*shapes[self.config.draws])

    def finalize(self) -> None:
        self.engine.unwrap(self.model).load_state_dict(self.average.module.state_dict())


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        registry.model("line", "tiny:Line", summary="A line")
        registry.dataset("points", "tiny:Points", summary="Points")
        registry.trainer("line", "tiny:LineTrainer", summary="Least squares")


class Watcher:
    """Records the hooks that are called, and optionally stops the run at a step."""

    def __init__(self, stop_at: int = 0) -> None:
        self.heard: list[str] = []
        self.stop_at = stop_at
        self.error: BaseException | None = None

    @zoo.hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self.heard.append(f"started at {run.step}")

    @zoo.hookimpl
    def zoo_step_finished(self, run: Run, step: int) -> None:
        if step == self.stop_at:
            run.stop("the watcher")

    @zoo.hookimpl
    def zoo_checkpoint_saved(self, step: int) -> None:
        self.heard.append(f"saved {step}")

    @zoo.hookimpl
    def zoo_evaluated(self, step: int) -> None:
        self.heard.append(f"evaluated {step}")

    @zoo.hookimpl
    def zoo_run_finished(self) -> None:
        self.heard.append("finished")

    @zoo.hookimpl
    def zoo_run_failed(self, error: BaseException) -> None:
        self.heard.append("failed")
        self.error = error


def catalog(*registries: Path) -> Catalog:
    """A catalog with this plugin and ``registries`` only."""
    here = Catalog(registries, installed=False)
    here.plugins.add("tiny", Plugin())
    return here


def catalog_with(trainer: type[zoo.Trainer]) -> Catalog:
    """The same with ``trainer``, a class at the top of a module, and a recipe for it; both are called ``other``."""
    here = catalog()

    class Others:
        @zoo.hookimpl
        def zoo_register(self, registry: zoo.Registry) -> None:
            registry.trainer("other", f"{trainer.__module__}:{trainer.__name__}", summary="Another trainer")
            parts = {"model": {"name": "line"}, "dataset": {"name": "points"}, "trainer": {"name": "other"}}
            registry.recipe("other", __file__, **parts, run={"batch_size": 8, "device": "cpu", "steps": 12})

    here.plugins.add("other", Others())
    return here


def train(folder: Path, *words: str, callbacks: tuple[object, ...] = (), recipe: Recipe = RECIPE) -> Run:
    """The finished run of the recipe ``line`` in ``folder``, with ``key=value`` overrides."""
    here = catalog()
    resolved = resolve(recipe.with_overrides(["run.device=cpu", *words]), here)
    return run_recipe(resolved, [*standard(), *callbacks], folder)


def resume(folder: Path, callbacks: tuple[object, ...] = (), words: tuple[str, ...] = ()) -> Run:
    """The run in ``folder``, resumed from its newest checkpoint, with ``key=value`` overrides."""
    resolved = resolve(read_config(folder / "config.yaml").with_overrides(words), catalog())
    return run_recipe(resolved, [*standard(), *callbacks], folder, resume=True)
