"""A function of a table's columns, with averaged weights, a cosine schedule, early stopping and the best checkpoint.

zoo --plugin regression_zoo.py run table
"""

import torch
import torch.nn.functional as F
from torch import nn

import zoo_core as zoo


class Table(zoo.InMemoryDataset):
    def tensors(self):
        x = torch.rand(3000, 10, generator=torch.Generator().manual_seed(0))
        y = 10 * torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
        splits = {"train": slice(2000), "validation": slice(2000, 2500), "test": slice(2500, None)}
        return {name: {"x": x[rows], "y": y[rows]} for name, rows in splits.items()}


class Network(zoo.Model):
    class Config:
        width: int = zoo.setting(64, "units in the hidden layer", ge=1)

    def __init__(self, config):
        super().__init__(config)
        self.layers = nn.Sequential(nn.Linear(10, config.width), nn.SiLU(), nn.Linear(config.width, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)


class Regression(zoo.SupervisedTrainer):
    def loss(self, batch):
        return F.mse_loss(self.model(batch["x"]), batch["y"])


@zoo.hookimpl
def zoo_register(registry):
    registry.dataset("table", f"{__name__}:Table", summary="A nonlinear function of ten columns")
    registry.model("table", f"{__name__}:Network", summary="One hidden layer")
    registry.trainer("table", f"{__name__}:Regression", summary="Mean squared error")
    trainer = {"name": "table", "learning_rate": 1e-2, "schedule": "cosine"}
    best = {"evaluate_every": 63, "monitor": "-loss", "patience": 5}
    run = {"epochs": 60, "batch_size": 32, "ema_decay": 0.99, **best}
    registry.recipe("table", __file__, model={"name": "table"}, dataset={"name": "table"}, trainer=trainer, run=run)
