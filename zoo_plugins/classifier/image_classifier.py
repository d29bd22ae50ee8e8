"""A residual network for the classification of images of any size, channels and classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.classifier.batches import predict_in_batches
from zoo_plugins.common.class_names import class_names
from zoo_plugins.common.fit_image import fit_image

_LARGEST_MAP = 64  # pixels after the first convolution
_SMALLEST_MAP = 4  # pixels after the last stage
_DEFAULT_SIZE = 32
_MOST_CHANNELS = 256


class ImageClassifier(zoo.Model):
    """Images (N, C, H, W) in [0, 1] to logits (N, num_classes), by residual blocks (He et al. 2016).

    A first convolution reduces images above 64 pixels to 33 to 64. Each stage halves their size and, from the second
    on, doubles the channels. Features are averaged over all pixels, so that images of any size are accepted. The
    settings of the data, from ``class_names`` to ``max_value``, are stored in the weights: `predict` names the classes,
    and brings a file to the form that the network was trained on.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        num_classes: int = zoo.setting(10, "number of classes", ge=2, from_dataset="num_classes")
        in_channels: int = zoo.setting(3, "channels of the images: 1 or 3", ge=1, from_dataset="in_channels")
        base_channels: int = zoo.setting(32, "channels of the first stage", ge=1)
        stages: int = zoo.setting(
            0, "stages, each of which halves the size; 0: from the size of the images, to about 4 pixels", ge=0, le=8
        )
        blocks: int = zoo.setting(1, "residual blocks of a stage", ge=1)
        dropout: float = zoo.setting(0.0, "dropout before the last layer", ge=0, lt=1)
        class_names: tuple[str, ...] = zoo.setting(
            (), "names of the classes; a class without a name is called by its index", from_dataset="class_names"
        )
        height: int = zoo.setting(0, "height of the images; 0: any, and files keep theirs", ge=0, from_dataset="height")
        width: int = zoo.setting(0, "width of the images; 0: any, and files keep theirs", ge=0, from_dataset="width")
        resize: Literal["crop", "squash"] = zoo.setting(
            "crop", "how a file of another size is resized: crop keeps the aspect", from_dataset="resize"
        )
        max_value: int | None = zoo.setting(
            None, "value of white in files; null: 255, 65535 or 1.0", ge=1, le=4294967295, from_dataset="max_value"
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.class_names = class_names(config)
        size = min(config.height, config.width) or _DEFAULT_SIZE
        stride = 2 ** max(0, math.ceil(math.log2(size / _LARGEST_MAP)))
        width = config.base_channels
        layers = _first_convolution(config.in_channels, width, stride)
        for stage in range(config.stages or _number_of_stages(size / stride)):
            wider = min(width * (2 if stage else 1), max(_MOST_CHANNELS, config.base_channels))
            layers += [ResidualBlock(width, wider, stride=2), *_further_blocks(wider, config.blocks)]
            width = wider
        self.layers = nn.Sequential(
            *layers, nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(config.dropout)
        )
        self.head = nn.Linear(width, config.num_classes)

    def features(self, image: Tensor) -> Tensor:
        """The averaged activations before the last layer, (N, channels of the last stage)."""
        return self.layers(image)  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image))  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict(self, image: str | Path | Tensor, max_value: int | None = None) -> dict[str, Any]:
        """``{"label": N names, "probability": N floats}`` for an image file, or for images (N, C, H, W) in [0, 1].

        A file is converted to the channels and the size that the network was trained on. ``max_value`` is the value of
        white in it, if it is not that of the settings.

        Raises:
            zoo.ZooError: if the file can't be read, or the tensor has another shape or dtype.
        """
        images = self.read_inputs(image=image, max_value=max_value)["image"]
        if images.ndim != 4 or images.shape[1] != self.config.in_channels or not images.is_floating_point():
            raise zoo.ZooError(
                f"image is a tensor {tuple(images.shape)} of {images.dtype}, but should be (N, "
                f"{self.config.in_channels}, H, W) of floating-point values in [0, 1].",
                "Pass the path of an image file, or convert and scale the tensor first.",
            )
        parameter = next(self.parameters())
        score = self(images.to(parameter.device, parameter.dtype)).float()  # (N, num_classes)
        probability, label = score.softmax(dim=1).max(dim=1)
        return {
            "label": [self.class_names[index] for index in label.tolist()],
            "probability": [round(float(value), 4) for value in probability],
        }

    def read_inputs(  # type: ignore[override]  # its arguments
        self, image: str | Path | Tensor, max_value: int | None = None
    ) -> dict[str, Tensor]:
        return {"image": image if isinstance(image, Tensor) else self._read(Path(image), max_value)}

    def predict_batch(self, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return predict_in_batches(self.predict, [one["image"] for one in inputs])

    def controls(self) -> dict[str, zoo.Control]:
        return {"image": zoo.Control("image", "an image")}

    def example(self) -> dict[str, Any]:
        height, width = self.config.height or _DEFAULT_SIZE, self.config.width or _DEFAULT_SIZE
        shape = (2, self.config.in_channels, height, width)
        return {"image": torch.linspace(0, 1, math.prod(shape)).reshape(shape)}

    def _read(self, path: Path, max_value: int | None) -> Tensor:
        config = self.config
        image = zoo.read_image(path, config.in_channels, max_value or config.max_value)
        return fit_image(image, config.height, config.width, config.resize).unsqueeze(0)


class ResidualBlock(nn.Module):
    """Two convolutions after batch normalization and ReLU, added to the input (He et al. 2016, identity mappings)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.normalize = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        normalized = self.normalize(image)
        shortcut = image if isinstance(self.shortcut, nn.Identity) else self.shortcut(normalized)
        return shortcut + self.layers(normalized)  # type: ignore[no-any-return]


def _first_convolution(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    size, padding = (3, 1) if stride == 1 else (2 * stride, stride // 2)
    return [nn.Conv2d(in_channels, out_channels, size, stride, padding, bias=False)]


def _further_blocks(channels: int, blocks: int) -> list[nn.Module]:
    return [ResidualBlock(channels, channels) for _ in range(blocks - 1)]


def _number_of_stages(size: float) -> int:
    return max(1, round(math.log2(size / _SMALLEST_MAP)))
