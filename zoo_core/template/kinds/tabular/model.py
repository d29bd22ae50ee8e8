"""A multilayer perceptron that classifies the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import zoo_core as zoo
from torch import Tensor, nn


class MyModel(zoo.Model):
    """Rows (N, columns), as they are in the table, to logits (N, num_classes)."""

    class Config:
        num_classes: int = zoo.setting(2, "number of classes", ge=2, from_dataset="num_classes")
        mean: tuple[float, ...] = zoo.setting((0.0, 0.0), "mean of each column", from_dataset="mean")
        std: tuple[float, ...] = zoo.setting((1.0, 1.0), "standard deviation of each column", gt=0, from_dataset="std")
        width: int = zoo.setting(64, "units in each hidden layer", ge=1)
        depth: int = zoo.setting(3, "number of hidden layers", ge=1, le=100)

    config: Config
    mean: Tensor
    std: Tensor
    outputs: ClassVar[Mapping[str, str]] = {"score": "(N, C) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        # They are settings, so that a weights file needs no buffers for them.
        self.register_buffer("mean", torch.tensor(config.mean), persistent=False)
        self.register_buffer("std", torch.tensor(config.std), persistent=False)
        widths = [len(config.mean), *[config.width] * config.depth]
        hidden = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], config.num_classes))

    def forward(self, row: Tensor) -> Tensor:
        """(N, columns) to logits (N, num_classes)."""
        logits: Tensor = self.layers((row - self.mean) / self.std)
        return logits

    @torch.no_grad()
    def predict(self, rows: Sequence[Sequence[float]]) -> dict[str, Any]:
        """The class of each row: ``{"label": N integers, "score": probabilities (N, num_classes)}``."""
        device = next(self.parameters()).device
        score = self(torch.tensor(rows, dtype=torch.float32, device=device)).softmax(dim=1).cpu()
        return {"label": score.argmax(dim=1).tolist(), "score": score}

    def example(self) -> dict[str, Any]:
        return {"rows": [list(self.config.mean), list(self.config.std)]}
