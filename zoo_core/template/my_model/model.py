"""A small network that tells points of the plane apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import zoo_core as zoo
from torch import Tensor, nn


class MyModel(zoo.Model):
    """Points (N, 2) to scores (N, 2) of the two spirals."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(64, "numbers in a hidden layer", ge=1)
        depth: int = zoo.setting(3, "hidden layers", ge=1, le=100)

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"score": "(N, 2) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        widths = [2, *[config.width] * config.depth]
        hidden = [layer for i, o in pairwise(widths) for layer in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], 2))

    def forward(self, point: Tensor) -> Tensor:
        score: Tensor = self.layers(point)
        return score

    @torch.no_grad()
    def predict(self, points: Sequence[Sequence[float]]) -> dict[str, Any]:
        """Which spiral each point lies on, ``{"label": N numbers, "score": (N, 2) in [0, 1]}``."""
        score = self(torch.tensor(points, dtype=torch.float32)).softmax(dim=1)
        return {"label": score.argmax(dim=1).tolist(), "score": score}

    def example(self) -> dict[str, Any]:
        return {"points": [[0.1, 0.2], [-0.5, 0.3]]}
