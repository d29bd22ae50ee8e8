"""Images of circles, squares and diamonds, drawn by the code below. Replace it by your own images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import zoo_core as zoo
from torch import Tensor

_CLASS_NAMES = ["circle", "square", "diamond"]
_SIZE = 16  # height and width in pixels


class Shapes(zoo.InMemoryDataset):
    """Examples are ``{"image": (1, 16, 16) in [0, 1], "label": int}``."""

    class Config:
        examples: int = zoo.setting(3000, "images in the train split; the test split has a quarter of that", ge=4)
        noise: float = zoo.setting(0.0, "standard deviation of the noise added to each pixel", ge=0)

    config: Config

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        return {
            "train": self._draw(self.config.examples, seed=0),
            "test": self._draw(self.config.examples // 4, seed=1),
        }

    def provides(self) -> Mapping[str, Any]:
        """What the settings of a model that are made with ``from_dataset`` are filled in with."""
        return {"num_classes": len(_CLASS_NAMES), "class_names": _CLASS_NAMES, "in_channels": 1}

    def _draw(self, count: int, seed: int) -> dict[str, Tensor]:
        """Images (count, 1, 16, 16) and labels (count,), which depend on ``seed`` only."""
        generator = torch.Generator().manual_seed(seed)
        label = torch.arange(count) % len(_CLASS_NAMES)
        center = torch.empty(count, 2, 1, 1).uniform_(5, _SIZE - 5, generator=generator)
        radius = torch.empty(count, 1, 1).uniform_(3, 5, generator=generator)
        pixel = torch.arange(_SIZE) + 0.5
        dx, dy = (pixel - center[:, 0]).abs(), (pixel[:, None] - center[:, 1]).abs()
        # The three shapes are balls of three norms.
        distance = torch.stack([(dx.square() + dy.square()).sqrt(), torch.maximum(dx, dy), dx + dy])
        image = (radius - distance[label, torch.arange(count)] + 0.5).clamp(0, 1)  # with a smooth edge
        noise = self.config.noise * torch.randn(image.shape, generator=generator)
        return {"image": (image + noise).clamp(0, 1).unsqueeze(1), "label": label}
