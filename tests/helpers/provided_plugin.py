"""A plugin whose model and trainer take settings from the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog


class Table(zoo.InMemoryDataset):
    class Config:
        provided: dict[str, Any] = zoo.setting(
            {"num_classes": 3, "columns": 4, "class_names": ["a", "b", "c"]}, "what it provides"
        )
        returns: Any = zoo.setting("", "what it returns instead")

    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        x = torch.rand(40, 4, generator=torch.Generator().manual_seed(0))
        table = {"x": x, "label": torch.arange(40) % 3}
        return {
            "train": {name: one[:30] for name, one in table.items()},
            "test": {name: one[30:] for name, one in table.items()},
        }

    def provides(self) -> Mapping[str, Any]:
        return self.config.returns or self.config.provided


class Linear(zoo.Model):
    class Config:
        num_classes: int = zoo.setting(10, "classes", ge=2, from_dataset="num_classes")
        columns: int = zoo.setting(help="columns of the table", ge=1, from_dataset="columns")
        class_names: tuple[str, ...] = zoo.setting((), "names of the classes", from_dataset="class_names")
        bias: bool = zoo.setting(True, "add a bias")

        def __post_init__(self) -> None:
            if len(self.class_names) > self.num_classes:
                raise ValueError("there are more names than classes")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.columns, config.num_classes, config.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Fit(zoo.SupervisedTrainer):
    class Config(zoo.SupervisedTrainer.Config):
        names: tuple[str, ...] = zoo.setting((), "names of the metrics", from_dataset="class_names")

    def loss(self, batch: zoo.Batch) -> Tensor:
        return F.cross_entropy(self.model(batch["x"]), batch["label"])


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.dataset("table", f"{__name__}:Table", summary="A table")
    registry.model("linear", f"{__name__}:Linear", summary="A linear map")
    registry.trainer("fit", f"{__name__}:Fit", summary="Cross-entropy")
    parts = {"model": {"name": "linear"}, "dataset": {"name": "table"}, "trainer": {"name": "fit"}}
    registry.recipe("fit", __file__, **parts, run={"steps": 6, "batch_size": 8, "device": "cpu"})


def catalog() -> Catalog:
    """A catalog with this plugin only."""
    here = Catalog(installed=False)
    here.plugins.load_files([Path(__file__)])
    return here
