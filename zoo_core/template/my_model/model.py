"""A small network that classifies points of the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import zoo_core as zoo
from torch import Tensor, nn


class MyModel(zoo.Model):
    """Multilayer perceptron from points (N, 2) to the logits (N, 2) of the two spirals."""

    class Config:
        width: int = zoo.setting(64, "units in each hidden layer", ge=1)
        depth: int = zoo.setting(3, "number of hidden layers", ge=1, le=100)

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"score": "(N, 2) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        widths = [2, *[config.width] * config.depth]
        hidden = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], 2))

    def forward(self, point: Tensor) -> Tensor:
        """(N, 2) to logits (N, 2)."""
        logits: Tensor = self.layers(point)
        return logits

    @torch.no_grad()
    def predict(self, points: Sequence[Sequence[float]]) -> dict[str, Any]:
        """The spiral of each point: ``{"label": N integers, "score": probabilities (N, 2) in [0, 1]}``."""
        score = self(torch.tensor(points, dtype=torch.float32)).softmax(dim=1)
        return {"label": score.argmax(dim=1).tolist(), "score": score}

    def example(self) -> dict[str, Any]:
        return {"points": [[0.1, 0.2], [-0.5, 0.3]]}
