"""Networks of segmentation_models_pytorch: a decoder, the architecture, on the features of an encoder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import zoo_core as zoo

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_MULTIPLE = 32  # height and width have to be multiples of the stride of the encoders


class Network(zoo.Model):
    """Images (N, C, H, W) in [0, 1] to logits (N, out_channels, H, W); ``member`` is such as ``unet-resnet18``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        in_channels: int = zoo.setting(3, "channels of an image", ge=1, from_dataset="in_channels")
        out_channels: int = zoo.setting(2, "number of classes", ge=2, from_dataset="num_classes")
        class_names: tuple[str, ...] = zoo.setting(
            (), "names of the classes, for metrics and previews", from_dataset="class_names"
        )
        normalization: Literal["none", "imagenet"] = zoo.setting(
            "none", "imagenet: minus the mean of ImageNet, divided by its standard deviation, as most encoders expect"
        )

    config: Any
    outputs: ClassVar[Mapping[str, str]] = {"mask": "(H, W)"}

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        names = config.class_names
        if len(names) not in (0, config.out_channels):
            raise zoo.ZooError(
                f"model.class_names has {len(names)} names, but model.out_channels is {config.out_channels}.",
                "Give one name for each class, or none.",
            )
        if config.normalization == "imagenet" and config.in_channels != 3:
            raise zoo.ZooError(
                f"model.normalization is 'imagenet', but model.in_channels is {config.in_channels}.",
                "Read images with 3 channels (`dataset.color=rgb`), or write `model.normalization=none`.",
            )
        self.network = self._network()

    def forward(self, image: Tensor) -> Tensor:
        if self.config.normalization == "imagenet":
            mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
            image = (image - mean) / std
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE))
        score: Tensor = self.network(padded)
        return score[..., :height, :width]

    @torch.no_grad()
    def predict(self, image: str | Path | Tensor) -> dict[str, Any]:
        """The class of each pixel of an image file, or of one image (C, H, W) in [0, 1]."""
        parameter = next(self.parameters())
        read = image if isinstance(image, Tensor) else zoo.read_image(Path(image), self.config.in_channels)
        return {"mask": self(read[None].to(parameter))[0].argmax(dim=0).to(torch.uint8)}

    def example(self) -> dict[str, Any]:
        shape = (self.config.in_channels, 64, 64)
        return {"image": torch.linspace(0, 1, torch.Size(shape).numel()).reshape(shape)}

    def controls(self) -> dict[str, zoo.Control]:
        return {"image": zoo.Control("image", "a picture")}

    def _network(self) -> nn.Module:
        return create(*self.member.split("-", 1), self.config)


class AnyEncoder(Network):
    """The same with the architecture and the encoder as settings; ``tu-NAME`` is an encoder of timm."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Network.Config):
        architecture: str = zoo.setting("unet", "architecture of segmentation_models_pytorch")
        encoder: str = zoo.setting("resnet34", "encoder of segmentation_models_pytorch, or tu-NAME for one of timm")

    def _network(self) -> nn.Module:
        try:
            return create(self.config.architecture, self.config.encoder, self.config)
        except (KeyError, ValueError, RuntimeError) as error:
            if "meta tensors" in str(error):
                raise
            raise zoo.ZooError(
                f"'{self.config.architecture}' can't be built on the encoder '{self.config.encoder}': {error}.",
                "`zoo list models smp/` shows those that fit, such as model.encoder=resnet34.",
            ) from error


def create(architecture: str, encoder: str, config: Any) -> nn.Module:
    """The network with initial weights; nothing is downloaded."""
    with warnings.catch_warnings(), _LinspaceOnCPU():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the encoders timm-…, which have another name as well
        network: nn.Module = smp.create_model(
            architecture, encoder, encoder_weights=None, in_channels=config.in_channels, classes=config.out_channels
        )
    return network


class _LinspaceOnCPU(TorchFunctionMode):
    """The encoders mit_… read values of ``torch.linspace``, which the meta device, on which weights load, lacks."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return func(*args, **({"device": "cpu", **kwargs} if func is torch.linspace else kwargs))
