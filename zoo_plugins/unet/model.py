"""U-Net (Ronneberger et al. 2015) with strided convolutions, bilinear upsampling and an input skip connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo
from zoo_plugins.common.image_size import target_size
from zoo_plugins.unet.blocks import Stage, checkpointed
from zoo_plugins.unet.preprocessing import NORMALIZATIONS, check_sizes, check_statistics, padded_to, resized
from zoo_plugins.unet.tiles import OVERLAP
from zoo_plugins.unet.upsample import upsample_twice

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class UNet(zoo.Model):
    """Maps images of any size to images or logits of the same size.

    The default settings are those of the reference, which maps 20 RGB frames to the next 20.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        in_channels: int = zoo.setting(
            60,
            "input channels: number of frames times channels per frame, or the channels of an image",
            ge=1,
            from_dataset="in_channels",
        )
        out_channels: int = zoo.setting(
            60,
            "output channels: number of frames times channels per frame, or number of classes",
            ge=1,
            from_dataset="num_classes",
        )
        base_channels: int = zoo.setting(64, "channels of the first stage; doubled at each further stage", ge=1)
        depth: int = zoo.setting(4, "number of times that height and width are halved", ge=1, le=12)
        downsample: Literal["conv", "max_pool"] = zoo.setting(
            "conv", "2 x 2 convolution with stride 2, or 2 x 2 max pooling"
        )
        activation: Literal["leaky_relu", "relu", "gelu", "silu"] = zoo.setting(
            "leaky_relu", "activation after each batch normalization"
        )
        head: Literal["reference", "linear"] = zoo.setting(
            "reference", "last layer: batch normalization and activation, or a 1 x 1 convolution (needed for logits)"
        )
        patch: int = zoo.setting(
            1,
            "patch size: patches of patch x patch pixels become channels (pixel unshuffle), 1 disables it",
            ge=1,
        )
        blocks: tuple[int, ...] = zoo.setting(
            (), "number of ConvNeXt blocks in each encoder stage, from the highest resolution on; missing ones are 0"
        )
        residual_input: bool = zoo.setting(True, "concatenate the input before a last stage")
        residual_output: bool = zoo.setting(
            False, "frames are predicted as their difference to the last given frame (needs head=linear, output=frames)"
        )
        output: Literal["frames", "frame_logits", "class_logits"] = zoo.setting(
            "frames", "type of the output: frames, logits of frames (followed by a sigmoid), or logits of classes"
        )
        frame_channels: int = zoo.setting(3, "channels per frame: 1 (gray) or 3 (RGB)", ge=1)
        class_names: tuple[str, ...] = zoo.setting(
            (),
            "names of the classes; a class without a name is called by its index",
            from_dataset="class_names",
        )
        max_value: int | None = zoo.setting(
            None, "value of white in files; null: 255, 65535 or 1.0", ge=1, le=4294967295, from_dataset="max_value"
        )
        checkpointing: bool = zoo.setting(
            False,
            "activation checkpointing: recompute the stages in the backward pass to save memory",
        )
        normalization: Literal["none", "image", "percentile", "fixed"] = zoo.setting(
            "none",
            "what the network does first with its input: nothing; mean 0 and standard deviation 1 in each channel of "
            "each image; its percentiles 0.5 and 99.5 become 0 and 1; or minus mean, divided by std",
        )
        mean: tuple[float, ...] = zoo.setting((), "mean of each channel for normalization=fixed")
        std: tuple[float, ...] = zoo.setting((), "standard deviation of each channel for normalization=fixed", gt=0)
        image_size: tuple[int, ...] = zoo.setting(
            (),
            "height and width of the images in training, where 0 is any, or the length of their shorter side; in "
            "evaluation an image is resized to it, and the output back; empty: no resizing",
            ge=0,
            from_dataset="image_size",
        )
        tile: tuple[int, ...] = zoo.setting(
            (),
            "height and width of the tiles in which evaluation and predict segment larger images; empty: in one piece",
            ge=1,
        )
        mirroring: bool = zoo.setting(
            False,
            "in evaluation and prediction, average the output with that of the image mirrored from left to right, "
            "which takes twice as long",
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        _check_class_names(config)
        _check_residual(config)
        check_statistics(config.normalization, config.mean, config.std, config.in_channels)
        check_sizes(config.image_size, config.tile)
        widths = [config.base_channels * 2**level for level in range(config.depth + 1)]  # 64, 128, 256, 512, 1024
        in_channels, out_channels = config.in_channels * config.patch**2, config.out_channels * config.patch**2
        last_width = out_channels if config.head == "reference" else config.base_channels
        activation = ACTIVATIONS[config.activation]
        num_blocks = _num_blocks(config)
        self.encoder = nn.ModuleList([Stage(in_channels, widths[0], activation, num_blocks[0])])
        for (narrow, wide), count in zip(pairwise(widths), num_blocks[1:], strict=True):
            self.encoder += [_down(config.downsample, narrow, activation), Stage(narrow, wide, activation, count)]
        self.middle = Stage(widths[-1], widths[-2], activation)
        # The input of a decoder stage is the upsampled tensor and the encoder's output, each with the same channels.
        outputs = [*reversed(widths[:-2]), last_width]
        self.decoder = nn.ModuleList(
            [Stage(2 * i, o, activation) for i, o in zip(reversed(widths[:-1]), outputs, strict=True)]
        )
        if config.residual_input:
            self.last = Stage(last_width + in_channels, last_width, activation)
        if config.head == "linear":
            self.head = nn.Conv2d(last_width, out_channels, 1)
        if config.residual_output:  # the first prediction is the last frame
            for parameter in self.head.parameters():
                nn.init.zeros_(parameter)

    def forward(self, image: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W).

        Raises:
            zoo.ZooError: if the input has a different number of channels.
        """
        if image.ndim != 4 or image.shape[1] != self.config.in_channels:
            raise zoo.ZooError(
                f"the input is {tuple(image.shape)}, but should be (N, {self.config.in_channels}, H, W).",
                f"Build the model with in_channels={image.shape[1] if image.ndim == 4 else '…'}, or change the input.",
            )
        size = image.shape[-2:]
        if self.training or not self.config.image_size:
            return self.at_its_size(image)
        return resized(self.at_its_size(resized(image, target_size(self.config.image_size, *size))), size)

    def at_its_size(self, image: Tensor) -> Tensor:
        """What ``forward`` computes, without resizing to ``image_size``."""
        output = self._once(image)
        if self.config.mirroring and not self.training:
            output = (output + self._once(image.flip(-1)).flip(-1)) / 2
        return output

    def _once(self, image: Tensor) -> Tensor:
        if self.config.normalization != "none":
            image = NORMALIZATIONS[self.config.normalization](image, self.config.mean, self.config.std)
        height, width = image.shape[-2:]
        padded = padded_to(image, self.config.patch * 2**self.config.depth)
        patches = padded if self.config.patch == 1 else F.pixel_unshuffle(padded, self.config.patch)
        outputs, tensor = [], patches  # (N, in_channels * patch^2, H / patch, W / patch)
        for layer in self.encoder:
            tensor = self._run(layer, tensor)
            if isinstance(layer, Stage):
                outputs.append(tensor)  # (N, base_channels * 2^level, H / patch / 2^level, W / patch / 2^level)
        tensor = upsample_twice(self._run(self.middle, outputs.pop()))
        for stage in self.decoder:
            tensor = self._run(stage, torch.cat([tensor, outputs.pop()], dim=1))
            if outputs:
                tensor = upsample_twice(tensor)
        if self.config.residual_input:
            tensor = self._run(self.last, torch.cat([tensor, patches], dim=1))
        if self.config.head == "linear":
            tensor = self.head(tensor)
        if self.config.patch > 1:
            tensor = F.pixel_shuffle(tensor, self.config.patch)  # (N, out_channels, H, W)
        tensor = tensor if padded is image else tensor[..., :height, :width]
        if self.config.residual_output:
            count = self.config.out_channels // self.config.frame_channels
            tensor = tensor + image[:, -self.config.frame_channels :].repeat(1, count, 1, 1)
        return tensor

    def _run(self, layer: nn.Module, tensor: Tensor) -> Tensor:
        if self.config.checkpointing and self.training:
            return checkpointed(layer, tensor)
        return layer(tensor)  # type: ignore[no-any-return]

    @torch.inference_mode()
    def predict(
        self,
        frames: str | Tensor | None = None,
        image: str | Tensor | None = None,
        ahead: int | None = None,
        overlap: float = OVERLAP,
        max_value: int | None = None,
    ) -> dict[str, Any]:
        """The next frames of the clip in the file ``frames``, or the segmentation of the image in the file ``image``.

        Instead of a file, it takes what `read_inputs` has read: frames (T, C, H, W) or an image (C, H, W) in [0, 1].
        ``max_value`` is the value of white in the file, if it is not that of the settings.

        For ``frames``: ``{"clip": (1, T, C, H, W) in [0, 1]}`` with ``ahead`` frames, by default those of one forward
        pass. For ``image``: ``{"mask": (H, W) uint8, "overlay": (1, 3, H, W) in [0, 1], "fraction": {class: fraction of
        the pixels}}``. An image that is larger than ``tile`` of the settings is segmented in tiles that overlap by the
        fraction ``overlap`` of their sides.

        Raises:
            zoo.ZooError: if the file can't be read, or does not fit the model.
        """
        from zoo_plugins.unet.predict import predict_classes, predict_frames

        if self.config.output == "class_logits":
            if image is None or frames is not None or ahead is not None:
                raise zoo.ZooError("this model segments an image and takes `image` only.", f"Write {self.usage()}")
            return predict_classes(self, self.read_inputs(image=image, max_value=max_value)["image"], overlap)
        if frames is None or image is not None:
            raise zoo.ZooError("this model predicts frames: it takes `frames`, not `image`.", f"Write {self.usage()}")
        return predict_frames(self, self.read_inputs(frames=frames, max_value=max_value)["frames"], ahead)

    def read_inputs(self, **inputs: Any) -> Mapping[str, Any]:
        from zoo_plugins.unet.predict import read_inputs

        return read_inputs(self, inputs)

    def controls(self) -> dict[str, zoo.Control]:
        if self.config.output == "class_logits":
            return {"image": zoo.Control("image", "an image", draw=(64, 64), needed=True)}
        frames_in, frames_out = (
            channels // self.config.frame_channels for channels in (self.config.in_channels, self.config.out_channels)
        )
        return {
            "frames": zoo.Control("video", f"a clip of at least {frames_in} frames", needed=True, plural="clips"),
            "ahead": zoo.Control("int", "frames to predict", minimum=1, maximum=3 * frames_out, value=frames_out),
        }

    def forward_example(self) -> dict[str, Any]:
        values = torch.linspace(0, 1, 2 * self.config.in_channels * 48 * 80)
        return {"image": values.reshape(2, self.config.in_channels, 48, 80)}

    def usage(self) -> str:
        return "image=photo.png -o mask.png" if self.config.output == "class_logits" else "frames=clip.gif -o next.gif"


def _check_class_names(config: UNet.Config) -> None:
    """Class names are keys of metrics, so they must be unique. A class without a name is called by its index."""
    names, count = config.class_names, config.out_channels
    bad = [one for one, following in pairwise(sorted(names)) if one == following]
    bad += [name for name in names if name.isdecimal() and len(name) < 10 and len(names) <= int(name) < count]
    if bad or len(names) > count:
        given = f"has the name '{bad[0]}' for two classes" if bad else f"has {len(names)} names"
        raise zoo.ZooError(
            f"model.class_names {given}, but should have at most {count} different names; others are indices.",
            f"Give {count} different names.",
        )


def _check_residual(config: UNet.Config) -> None:
    if not config.residual_output:
        return
    if config.head != "linear" or config.output != "frames":
        raise zoo.ZooError(
            f"model.residual_output is true, but model.head is '{config.head}' and model.output is '{config.output}'.",
            "Write `model.head=linear model.output=frames`.",
        )
    for name in ("in_channels", "out_channels"):
        if getattr(config, name) % config.frame_channels:
            raise zoo.ZooError(
                f"model.{name} is {getattr(config, name)}, but should be a multiple of model.frame_channels, "
                f"{config.frame_channels}.",
                "Write for example `model.frame_channels=1`.",
            )


def _num_blocks(config: UNet.Config) -> tuple[int, ...]:
    """The number of ConvNeXt blocks in each encoder stage."""
    num_stages = config.depth + 1
    if len(config.blocks) > num_stages or any(count < 0 for count in config.blocks):
        raise zoo.ZooError(
            f"model.blocks is {list(config.blocks)}, but should be at most {num_stages} integers of at least 0, one "
            f"for each of the {num_stages} stages of model.depth={config.depth}.",
            f"Write for example `model.blocks={[1] * min(num_stages, 2)}`.",
        )
    return config.blocks + (0,) * (num_stages - len(config.blocks))


def _down(kind: str, channels: int, activation: type[nn.Module]) -> nn.Module:
    if kind == "max_pool":
        return nn.MaxPool2d(2)
    return nn.Sequential(nn.Conv2d(channels, channels, 2, stride=2, bias=False), activation())
