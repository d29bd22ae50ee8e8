"""Five convolutions, 64 features, ten scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo


class DigitClassifier(zoo.Model):
    """Pictures (N, 1, 28, 28) in [0, 1] to scores (N, num_classes), by way of features (N, num_features)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        num_classes: int = zoo.setting(10, "classes it tells apart", ge=2)
        num_features: int = zoo.setting(64, "length of the features before the last layer", ge=1)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(
            *_convolution(1, 16),
            nn.MaxPool2d(2),  # (N, 16, 14, 14)
            *_convolution(16, 32),
            *_convolution(32, 48),
            nn.MaxPool2d(2),  # (N, 48, 7, 7)
            *_convolution(48, 64),
            *_convolution(64, 64),
            nn.MaxPool2d(2),  # (N, 64, 3, 3)
            nn.Flatten(),
            nn.Linear(64 * 3 * 3, config.num_features),
            nn.ReLU(),
        )
        self.head = nn.Linear(config.num_features, config.num_classes)

    def features(self, image: Tensor) -> Tensor:
        """What the network knows of a picture before it decides: (N, num_features), none negative."""
        return self.layers(image)  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image))  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict(self, image: str | Path | Tensor) -> dict[str, Any]:
        """``{"label": …, "probability": …}`` of a picture file, or of pictures (N, 1, 28, 28) in [0, 1].

        A file should show a white digit on black; it is brought to 28 x 28 gray pixels.
        """
        pictures = image if isinstance(image, Tensor) else _read(Path(image))
        if pictures.ndim != 4 or pictures.shape[1:] != (1, 28, 28) or not pictures.is_floating_point():
            raise zoo.ZooError(
                f"image is a tensor {tuple(pictures.shape)} of {pictures.dtype}, but should be (N, 1, 28, 28) of "
                "floating-point numbers in [0, 1].",
                "Give a picture's file, or scale it before.",
            )
        parameter = next(self.parameters())
        score = self(pictures.to(parameter.device, parameter.dtype)).float()
        probability, label = score.softmax(dim=1).max(dim=1)
        return {"label": label.tolist(), "probability": [round(float(one), 4) for one in probability]}

    def controls(self) -> dict[str, zoo.Control]:
        return {"image": zoo.Control("image", "a white digit on black", draw=(28, 28))}

    def example(self) -> dict[str, Any]:
        return {"image": torch.linspace(0, 1, 2 * 784).reshape(2, 1, 28, 28)}


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _read(path: Path) -> Tensor:
    picture = zoo.read_image(path, 1).unsqueeze(0)
    if picture.shape[-2:] == (28, 28):
        return picture
    return F.interpolate(picture, (28, 28), mode="bicubic", antialias=True).clamp(0, 1)
