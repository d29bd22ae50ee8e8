"""A convolutional classifier of 28 x 28 digits: five convolutions, one hidden layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.classifier.batches import predict_in_batches


class DigitClassifier(zoo.Model):
    """Images (N, 1, 28, 28) in [0, 1] to logits (N, num_classes), computed from features (N, num_features)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        num_classes: int = zoo.setting(10, "number of classes", ge=2, from_dataset="num_classes")
        num_features: int = zoo.setting(64, "dimension of the features before the last layer", ge=1)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(
            *_conv_block(1, 16),
            nn.MaxPool2d(2),  # (N, 16, 14, 14)
            *_conv_block(16, 32),
            *_conv_block(32, 48),
            nn.MaxPool2d(2),  # (N, 48, 7, 7)
            *_conv_block(48, 64),
            *_conv_block(64, 64),
            nn.MaxPool2d(2),  # (N, 64, 3, 3)
            nn.Flatten(),  # (N, 576)
            nn.Linear(64 * 3 * 3, config.num_features),
            nn.ReLU(),
        )
        self.head = nn.Linear(config.num_features, config.num_classes)

    def features(self, image: Tensor) -> Tensor:
        """The activations before the last layer, (N, num_features), after ReLU."""
        return self.layers(image)  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image))  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict(self, image: str | Path | Tensor, max_value: int | None = None) -> dict[str, Any]:
        """``{"label": N integers, "probability": N floats}`` for an image file, or for images (N, 1, 28, 28) in [0, 1].

        A file should show a white digit on black. It is converted to grayscale and resized to 28 x 28. ``max_value`` is
        the value of white in it, if its type does not say that.

        Raises:
            zoo.ZooError: if the file can't be read, or the tensor has another shape or dtype.
        """
        images = self.read_inputs(image=image, max_value=max_value)["image"]
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28) or not images.is_floating_point():
            raise zoo.ZooError(
                f"image is a tensor {tuple(images.shape)} of {images.dtype}, but should be (N, 1, 28, 28) of "
                "floating-point values in [0, 1].",
                "Pass the path of an image file, or resize and scale the tensor first.",
            )
        parameter = next(self.parameters())
        score = self(images.to(parameter.device, parameter.dtype)).float()  # (N, num_classes)
        probability, label = score.softmax(dim=1).max(dim=1)
        return {"label": label.tolist(), "probability": [round(float(value), 4) for value in probability]}

    def read_inputs(  # type: ignore[override]  # its arguments
        self, image: str | Path | Tensor, max_value: int | None = None
    ) -> dict[str, Tensor]:
        return {"image": image if isinstance(image, Tensor) else _read(Path(image), max_value)}

    def predict_batch(self, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return predict_in_batches(self.predict, [one["image"] for one in inputs])

    def controls(self) -> dict[str, zoo.Control]:
        return {"image": zoo.Control("image", "a white digit on black", draw=(28, 28))}

    def example(self) -> dict[str, Any]:
        return {"image": torch.linspace(0, 1, 2 * 784).reshape(2, 1, 28, 28)}


def _conv_block(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]


def _read(path: Path, max_value: int | None) -> Tensor:
    image = zoo.read_image(path, 1, max_value).unsqueeze(0)  # (1, 1, H, W)
    if image.shape[-2:] == (28, 28):
        return image
    return F.interpolate(image, (28, 28), mode="bicubic", antialias=True).clamp(0, 1)
