"""Any model of timm as a classifier of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import timm
import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo


class TimmModel(zoo.Model):
    """Images (N, C, H, W) in [0, 1] to logits (N, num_classes); ``member`` is the name of the model in timm.

    The defaults are those of timm, so that its published weights fit.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        num_classes: int = zoo.setting(1000, "number of classes", ge=1)
        in_chans: int = zoo.setting(3, "channels of the first layer; gray images are repeated to fit", ge=1)
        image_size: int | None = zoo.setting(
            None, "height and width of the images, for models that are built for one size; null: that of timm", ge=1
        )
        normalize: bool = zoo.setting(True, "normalize images with the mean and deviation that timm states")
        checkpointing: bool = zoo.setting(False, "compute activations again in the backward pass, to save memory")

    config: Config
    outputs: ClassVar[Mapping[str, str]] = {"label": "one class for each image", "probability": "of that class"}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        size = {} if config.image_size is None else {"img_size": config.image_size}
        try:
            network = timm.create_model(self.member, num_classes=config.num_classes, in_chans=config.in_chans, **size)
        except TypeError as error:
            if not size or "img_size" not in str(error):
                raise
            raise zoo.ZooError(
                f"'timm/{self.member}' takes images of any size, so that it has no setting for it.",
                "Leave out model.image_size.",
            ) from error
        if config.checkpointing:
            network.set_grad_checkpointing(True)
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[1] == 1 and self.config.in_chans != 1:
            image = image.expand(-1, self.config.in_chans, -1, -1)
        return self.network(self._normalized(image) if self.config.normalize else image)  # type: ignore[no-any-return]

    def _normalized(self, image: Tensor) -> Tensor:
        stated = self.network.pretrained_cfg
        mean, deviation = stated.get("mean") or (0.0,), stated.get("std") or (1.0,)
        if len(mean) != image.shape[1]:  # as for the average of the channels
            mean, deviation = (sum(mean) / len(mean),), (sum(deviation) / len(deviation),)
        channels = image.split(image.shape[1] // len(mean), dim=1)
        scaled = [(one - m) / d for one, m, d in zip(channels, mean, deviation, strict=True)]
        return torch.cat(scaled, dim=1)

    @torch.no_grad()
    def predict(self, image: str | Path | Tensor) -> dict[str, Any]:
        """The class of an image file, or of each of a batch of images (N, C, H, W) in [0, 1]."""
        images = image if isinstance(image, Tensor) else self._read(Path(image))
        probability = self(images.to(next(self.parameters()))).float().softmax(dim=1)  # (N, num_classes)
        highest, label = probability.max(dim=1)
        return {"label": label.tolist(), "probability": [round(float(value), 4) for value in highest]}

    def controls(self) -> dict[str, zoo.Control]:
        return {"image": zoo.Control("image", "a picture")}

    def example(self) -> dict[str, Any]:
        shape = (2, self.config.in_chans, self._size(), self._size())
        count = torch.Size(shape).numel()
        return {"image": torch.linspace(0, 1, count).reshape(shape)}

    def _size(self) -> int:
        stated: int = self.network.pretrained_cfg.get("input_size", (3, 224, 224))[-1]
        return self.config.image_size or stated

    def _read(self, path: Path) -> Tensor:
        channels = 1 if self.config.in_chans == 1 else 3
        image = zoo.read_image(path, channels)[None]  # (1, C, H, W)
        fixed = self.config.image_size or self.network.pretrained_cfg.get("fixed_input_size")
        size = (self._size(), self._size()) if fixed else image.shape[-2:]
        return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
