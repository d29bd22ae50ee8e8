"""A small convolutional network that classifies images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
import zoo_core as zoo
from torch import Tensor, nn


class MyModel(zoo.Model):
    """Images (N, C, H, W) in [0, 1] of any size to logits (N, num_classes)."""

    class Config:
        num_classes: int = zoo.setting(10, "number of classes", ge=2, from_dataset="num_classes")
        class_names: tuple[str, ...] = zoo.setting((), "names of the classes", from_dataset="class_names")
        in_channels: int = zoo.setting(1, "channels of the images", ge=1, from_dataset="in_channels")
        width: int = zoo.setting(16, "channels of the first convolution; the next ones have twice as many", ge=4)

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"score": "(N, C) in [0, 1]"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        width = config.width
        self.layers = nn.Sequential(
            nn.Conv2d(config.in_channels, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.GroupNorm(1, 2 * width),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.GroupNorm(1, 2 * width),
            nn.SiLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * width, config.num_classes),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) to logits (N, num_classes)."""
        logits: Tensor = self.layers(image)
        return logits

    @torch.no_grad()
    def predict(self, image: str | Tensor) -> dict[str, Any]:
        """The class of an image file, or of each of a batch of images (N, C, H, W) in [0, 1].

        ``{"label": a name for each image, "score": probabilities (N, num_classes)}``.
        """
        images = image if isinstance(image, Tensor) else zoo.read_image(Path(image), self.config.in_channels)[None]
        score = self(images.to(next(self.parameters()))).softmax(dim=1).cpu()
        names = self.config.class_names or [str(number) for number in range(self.config.num_classes)]
        return {"label": [names[number] for number in score.argmax(dim=1).tolist()], "score": score}

    def controls(self) -> dict[str, zoo.Control]:
        """What `zoo demo` asks for."""
        return {"image": zoo.Control("image", "a picture")}

    def example(self) -> dict[str, Any]:
        return {"image": torch.linspace(0, 1, 2 * self.config.in_channels * 256).reshape(2, -1, 16, 16)}
