"""A regression on a table (Friedman 1991), in one file: zoo --plugin examples/tabular_mlp.py run tabular-mlp"""

import torch
import torch.nn.functional as F

import zoo_core as zoo


class Friedman(zoo.InMemoryDataset):
    def tensors(self):
        x = torch.rand(2500, 10, generator=torch.Generator().manual_seed(0))
        y = 10 * torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
        return {"train": {"x": x[:2000], "y": y[:2000]}, "test": {"x": x[2000:], "y": y[2000:]}}


class MLP(zoo.Model):
    class Config:
        width: int = zoo.setting(64, "units in the hidden layer", ge=1)

    def __init__(self, config):
        super().__init__(config)
        self.hidden, self.out = torch.nn.Linear(10, config.width), torch.nn.Linear(config.width, 1)

    def forward(self, x):
        return self.out(F.silu(self.hidden(x))).squeeze(1)


class Regression(zoo.SupervisedTrainer):
    def loss(self, batch):
        return F.mse_loss(self.model(batch["x"]), batch["y"])


@zoo.hookimpl
def zoo_register(registry):
    registry.dataset("friedman", f"{__name__}:Friedman", summary="A nonlinear function of ten columns")
    registry.model("tabular-mlp", f"{__name__}:MLP", summary="A multilayer perceptron with one hidden layer")
    registry.trainer("regression", f"{__name__}:Regression", summary="Mean squared error with AdamW")
    model, dataset = {"name": "tabular-mlp"}, {"name": "friedman"}
    trainer, run = {"name": "regression", "learning_rate": 1e-2}, {"epochs": 60, "batch_size": 32}
    registry.recipe("tabular-mlp", __file__, model=model, dataset=dataset, trainer=trainer, run=run)
