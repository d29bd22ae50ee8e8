"""U-Net (Ronneberger et al. 2015) with strided convolutions, bilinear upsampling and its own input at the end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.unet.blocks import Stage, checkpointed

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class UNet(zoo.Model):
    """Pictures of any size to pictures of that size. The default settings are the reference: 20 RGB frames to 20."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        in_channels: int = zoo.setting(60, "channels of the input: frames times their channels, or a picture's", ge=1)
        out_channels: int = zoo.setting(60, "channels of the output: frames times their channels, or classes", ge=1)
        base_channels: int = zoo.setting(64, "channels of the first stage; each further one has twice as many", ge=1)
        depth: int = zoo.setting(4, "how often height and width are halved", ge=1, le=12)
        downsample: Literal["conv", "max_pool"] = zoo.setting("conv", "2 x 2 convolution with stride 2, or max pooling")
        activation: Literal["leaky_relu", "relu", "gelu", "silu"] = zoo.setting(
            "leaky_relu", "after each normalization"
        )
        head: Literal["reference", "linear"] = zoo.setting(
            "reference", "end in normalization and activation, or in a 1 x 1 convolution, which can give logits"
        )
        patch: int = zoo.setting(
            1,
            "side of the squares of pixels that become channels of one: at 4 all stages see a 16th of the pixels",
            ge=1,
        )
        blocks: tuple[int, ...] = zoo.setting(
            (), "ConvNeXt blocks after each stage on the way down, the widest picture's first; those not named get none"
        )
        residual_input: bool = zoo.setting(True, "whether the last stage sees the network's own input once more")
        output: Literal["frames", "frame_logits", "class_logits"] = zoo.setting(
            "frames", "what the output stands for: frames, their logits (a sigmoid makes frames of them), or classes'"
        )
        frame_channels: int = zoo.setting(3, "channels of a frame: 1 gray, 3 RGB", ge=1)
        class_names: tuple[str, ...] = zoo.setting((), "what the classes are called; otherwise they have numbers")
        checkpointing: bool = zoo.setting(False, "compute stages again in the backward pass: less memory, more time")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        _refuse_unclear_names(config)
        widths = [config.base_channels * 2**level for level in range(config.depth + 1)]  # 64, 128, 256, 512, 1024
        inputs, given = (channels * config.patch**2 for channels in (config.in_channels, config.out_channels))
        end = given if config.head == "reference" else config.base_channels
        activation = ACTIVATIONS[config.activation]
        blocks = _blocks(config)
        self.encoder = nn.ModuleList([Stage(inputs, widths[0], activation, blocks[0])])
        for (narrow, wide), more in zip(pairwise(widths), blocks[1:], strict=True):
            self.encoder += [_down(config.downsample, narrow, activation), Stage(narrow, wide, activation, more)]
        self.middle = Stage(widths[-1], widths[-2], activation)
        # A decoder's stage gets the upsampled tensor and the encoder's, equally wide.
        outputs = [*reversed(widths[:-2]), end]
        self.decoder = nn.ModuleList(
            [Stage(2 * i, o, activation) for i, o in zip(reversed(widths[:-1]), outputs, strict=True)]
        )
        if config.residual_input:
            self.last = Stage(end + inputs, end, activation)
        if config.head == "linear":
            self.head = nn.Conv2d(end, given, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W).

        Raises:
            zoo.ZooError: if the number of channels is another.
        """
        if image.ndim != 4 or image.shape[1] != self.config.in_channels:
            raise zoo.ZooError(
                f"this U-Net takes (N, {self.config.in_channels}, H, W), but was given {tuple(image.shape)}.",
                f"Build it with in_channels={image.shape[1] if image.ndim == 4 else '…'}, or give it what it takes.",
            )
        height, width = image.shape[-2:]
        padded = _pad(image, self.config.patch * 2**self.config.depth)
        squares = padded if self.config.patch == 1 else F.pixel_unshuffle(padded, self.config.patch)
        outputs, tensor = [], squares
        for layer in self.encoder:
            tensor = self._run(layer, tensor)
            if isinstance(layer, Stage):
                outputs.append(tensor)
        tensor = _up(self._run(self.middle, outputs.pop()))
        for stage in self.decoder:
            tensor = self._run(stage, torch.cat([tensor, outputs.pop()], dim=1))
            if outputs:
                tensor = _up(tensor)
        if self.config.residual_input:
            tensor = self._run(self.last, torch.cat([tensor, squares], dim=1))
        if self.config.head == "linear":
            tensor = self.head(tensor)
        if self.config.patch > 1:
            tensor = F.pixel_shuffle(tensor, self.config.patch)
        return tensor if padded is image else tensor[..., :height, :width]

    def _run(self, layer: nn.Module, tensor: Tensor) -> Tensor:
        if self.config.checkpointing and self.training:
            return checkpointed(layer, tensor)
        return layer(tensor)  # type: ignore[no-any-return]

    @torch.inference_mode()
    def predict(self, frames: str | None = None, image: str | None = None, ahead: int | None = None) -> dict[str, Any]:
        """What follows the clip in the file ``frames``, or the classes of the picture in the file ``image``.

        For ``frames``: ``{"clip": (1, T, C, H, W) in [0, 1]}``, ``ahead`` frames or as many as one pass gives. For
        ``image``: ``{"mask": (H, W) uint8, "overlay": (1, 3, H, W) in [0, 1], "share": {class: of all pixels}}``.

        Raises:
            zoo.ZooError: if the file can't be read, or is not what this model takes; says why.
        """
        from zoo_plugins.unet.predict import classes_of_picture, frames_after_clip

        if self.config.output == "class_logits":
            if image is None or frames is not None or ahead is not None:
                raise zoo.ZooError("this model finds the classes of one picture's pixels.", f"Write {self.usage()}")
            return classes_of_picture(self, image)
        if frames is None or image is not None:
            raise zoo.ZooError("this model predicts the frames after a clip.", f"Write {self.usage()}")
        return frames_after_clip(self, frames, ahead)

    def controls(self) -> dict[str, zoo.Control]:
        if self.config.output == "class_logits":
            return {"image": zoo.Control("image", "a picture", draw=(64, 64), needed=True)}
        needed, given = (n // self.config.frame_channels for n in (self.config.in_channels, self.config.out_channels))
        return {
            "frames": zoo.Control("video", f"a clip of at least {needed} frames", needed=True),
            "ahead": zoo.Control("int", "frames to predict", minimum=1, maximum=3 * given, value=given),
        }

    def forward_example(self) -> dict[str, Any]:
        values = torch.linspace(0, 1, 2 * self.config.in_channels * 48 * 80)
        return {"image": values.reshape(2, self.config.in_channels, 48, 80)}

    def usage(self) -> str:
        return "image=photo.png -o mask.png" if self.config.output == "class_logits" else "frames=clip.gif -o next.gif"


def _refuse_unclear_names(config: UNet.Config) -> None:
    """Figures and shares are given by the classes' names; a class without one is called by its number."""
    given, numbers = config.class_names, range(len(config.class_names), config.out_channels)
    unclear = [name for name in given if given.count(name) > 1 or (name.isdecimal() and int(name) in numbers)]
    if unclear or len(given) > config.out_channels:
        problem = f"calls two classes '{unclear[0]}'" if unclear else f"has {len(given)} names"
        raise zoo.ZooError(
            f"model.class_names {problem}, but should name the {config.out_channels} classes, or the first of them; "
            "those without a name are called by their numbers.",
            "Give as many different names as there are classes.",
        )


def _blocks(config: UNet.Config) -> tuple[int, ...]:
    """How many blocks each of the encoder's stages has."""
    stages = config.depth + 1
    if len(config.blocks) > stages or any(count < 0 for count in config.blocks):
        raise zoo.ZooError(
            f"model.blocks is {list(config.blocks)}, but should be at most {stages} numbers of blocks, for the "
            f"{stages} stages of model.depth={config.depth}.",
            f"Write `model.blocks={[1] * min(stages, 2)}`, for example.",
        )
    return config.blocks + (0,) * (stages - len(config.blocks))


def _down(kind: str, channels: int, activation: type[nn.Module]) -> nn.Module:
    if kind == "max_pool":
        return nn.MaxPool2d(2)
    return nn.Sequential(nn.Conv2d(channels, channels, 2, stride=2, bias=False), activation())


def _up(tensor: Tensor) -> Tensor:
    return F.interpolate(tensor, scale_factor=2, mode="bilinear", align_corners=True)


def _pad(image: Tensor, multiple: int) -> Tensor:
    """Zeros below and to the right, so that every halving comes out even."""
    height, width = image.shape[-2:]
    # An exported network takes all sizes, so it can't be made for those that need no zeros.
    if not torch.compiler.is_exporting() and height % multiple == width % multiple == 0:
        return image
    # Written so that the exporter sees a multiple in what comes out, and divides no negative number: ONNX rounds such
    # a quotient towards zero.
    below, right = ((side + multiple - 1) // multiple * multiple - side for side in (height, width))
    return F.pad(image, (0, right, 0, below))
