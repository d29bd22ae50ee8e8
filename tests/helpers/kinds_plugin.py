"""A plugin whose previews and predictions are of every kind: `--plugin … run kinds trainer.gives=text`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.loggers import standard
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe

FILE = Path(__file__)
HOSTILE = (
    "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 1'> ${1+1} {{2}} **bold**\n\tzwei: \x1b[2J"
)
RATE = 8000


def tone(pitch: float, seconds: float = 0.5) -> Tensor:
    return 0.5 * (torch.arange(int(seconds * RATE)) * (2 * math.pi * pitch / RATE)).sin()


def gradient(step: int) -> Tensor:
    return torch.linspace(0, 1 + step, 12).view(3, 4)


KINDS: dict[str, Callable[[int], Any]] = {
    "text": lambda step: f"step {step}: {HOSTILE}",
    "table": lambda step: zoo.Table({"token": ["=1+1", "<b>b</b>", "c|d", None], "loss": [0.125, -1.0, 1e-9, step]}),
    "audio": lambda step: zoo.Audio(torch.stack([tone(440), tone(220 + step)]), sample_rate=RATE),
    "line": lambda step: torch.linspace(-1, 1, 50) * step,
    "matrix": lambda step: gradient(step).numpy(),
    "volume": lambda step: torch.arange(2 * 3 * 4, dtype=torch.int64).view(2, 3, 4) + step,
    "images": lambda step: gradient(step).view(1, 1, 3, 4).clamp(0, 1),
    "clips": lambda step: gradient(step).clamp(0, 1).expand(2, 5, 1, 3, 4),
    "classes": lambda step: torch.arange(12, dtype=torch.uint8).view(3, 4),
}
"""A value of every kind that differs from step to step, but for the classes."""
WRONG: dict[str, Callable[[], Any]] = {
    "list": lambda: [1, 2],
    "number": lambda: 3.5,
    "texts": lambda: ["a", "b"],
    "scalar": lambda: torch.tensor(1.0),
    "empty": lambda: torch.zeros(0, 3),
    "nested": lambda: {"a": {"b": "c"}},
    "keys": lambda: {1: "a"},
    "objects": lambda: np.array([object()]),
    "unequal": lambda: zoo.Table({"a": [1, 2], "b": [1]}),
    "tensor in a cell": lambda: zoo.Table({"a": [torch.tensor(1.0)]}),
    "loud": lambda: zoo.Audio(torch.tensor([0.0, 1.5]), RATE),
    "nan": lambda: zoo.Audio(torch.tensor([0.0, math.nan]), RATE),
}


def value(gives: str, step: int) -> Any:
    if gives in WRONG:
        return WRONG[gives]()
    if gives == "all":
        return {f"my {name}/1": make(step) for name, make in KINDS.items()} | {"not now": None}
    return KINDS[gives](step)


class Points(zoo.InMemoryDataset):
    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        points = torch.linspace(-1, 1, 16)[:, None]
        return {"train": {"x": points}, "test": {"x": points[:4]}}


class Kinds(zoo.Model):
    """Predicts the value that it is asked for."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.layer = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)

    def predict(self, gives: str = "all", step: int = 3) -> dict[str, Any]:
        given = value(gives, step)
        return {**given, "number": 1} if gives == "all" else {"value": given}

    def example(self) -> dict[str, Any]:
        return {"gives": "all"}


class KindsTrainer(zoo.SupervisedTrainer):
    class Config(zoo.SupervisedTrainer.Config):
        gives: str = zoo.setting("all", "what previews are")

    def setup(self, model: zoo.Model, engine: zoo.Engine) -> None:
        super().setup(model, engine)
        self.step_count = 0

    def loss(self, batch: zoo.Batch) -> Tensor:
        return self.model(batch["x"]).square().mean()

    def after_step(self) -> None:
        super().after_step()
        self.step_count += 1

    def preview(self, batch: zoo.Batch) -> Any:
        return value(self.config.gives, self.step_count)


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model("kinds", f"{__name__}:Kinds", summary="Predicts values of every kind", license="MIT")
    registry.dataset("kinds-points", f"{__name__}:Points", summary="Points on a line", license="MIT")
    registry.trainer("kinds", f"{__name__}:KindsTrainer", summary="Previews of every kind", license="MIT")
    run = {"steps": 6, "batch_size": 8, "preview_every": 3, "device": "cpu", "threads": 1, "log_every": 3}
    registry.recipe(
        "kinds",
        __file__,
        summary="Previews of every kind",
        model={"name": "kinds"},
        dataset={"name": "kinds-points"},
        trainer={"name": "kinds"},
        run=run,
    )


def catalog() -> Catalog:
    here = Catalog(installed=False)
    here.plugins.add("kinds_plugin", sys.modules[__name__])
    return here


def train(folder: Path, *words: str, callbacks: tuple[object, ...] = ()) -> zoo.Run:
    """The finished run of the recipe ``kinds`` in ``folder``, with previews at the steps 3 and 6."""
    here = catalog()
    return run_recipe(resolve(here.recipe("kinds", *words), here), [*standard(), *callbacks], folder)


def resume(folder: Path) -> zoo.Run:
    return run_recipe(resolve(read_config(folder / "config.yaml"), catalog()), standard(), folder, resume=True)
