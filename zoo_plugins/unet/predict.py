"""From a user's files to predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.unet.fuse import folded
from zoo_plugins.unet.rollout import frames_of, roll_out
from zoo_plugins.unet.visualize import class_names, overlay

if TYPE_CHECKING:
    from zoo_plugins.unet.model import UNet

_MOST_CLASSES = 256  # a mask is written in bytes


def frames_after_clip(model: UNet, path: str, ahead: int | None) -> dict[str, Any]:
    """``{"clip": (1, T, C, H, W) in [0, 1]}``; of a longer clip, what follows its last frames."""
    config = model.config
    if config.frame_channels not in (1, 3):
        raise zoo.ZooError(f"this model takes frames of {config.frame_channels} channels, which no file gives.")
    for name in ("in_channels", "out_channels"):
        if getattr(config, name) % config.frame_channels:
            raise zoo.ZooError(
                f"this model's {name} is {getattr(config, name)}, which is no number of frames of "
                f"{config.frame_channels} channels."
            )
    needed, given = config.in_channels // config.frame_channels, config.out_channels // config.frame_channels
    count = given if ahead is None else ahead
    if type(count) is not int or count < 1:
        raise zoo.ZooError(f"ahead is {ahead!r}, but should be a whole number of at least 1.", f"Write ahead={given}.")
    clip = zoo.read_frames(path, config.frame_channels)
    if len(clip) < needed:
        raise zoo.ZooError(
            f"{path} has {len(clip)} frames, but this model takes {needed}.", "Give a longer clip, or a GIF of it."
        )
    past = _like(model, clip[-needed:].unsqueeze(0))
    output = roll_out(folded(model), past, count, config)
    return {"clip": frames_of(output, config).clamp(0, 1).cpu()}


def classes_of_picture(model: UNet, path: str) -> dict[str, Any]:
    """``{"mask": (H, W) uint8, "overlay": (1, 3, H, W) in [0, 1], "share": {class: of all pixels}}``."""
    config = model.config
    if config.in_channels not in (1, 3):
        raise zoo.ZooError(f"this model takes pictures of {config.in_channels} channels, which no file gives.")
    if not 2 <= config.out_channels <= _MOST_CLASSES:
        raise zoo.ZooError(f"this model has {config.out_channels} classes, but a mask shows 2 to {_MOST_CLASSES}.")
    picture = zoo.read_image(path, config.in_channels)
    mask = folded(model)(_like(model, picture.unsqueeze(0))).argmax(dim=1)[0].cpu()
    counts = mask.flatten().bincount(minlength=config.out_channels) / mask.numel()
    names = class_names(config)
    return {
        "mask": mask.to(torch.uint8),
        "overlay": overlay(picture, mask, config.out_channels).unsqueeze(0),
        "share": {names[number]: round(share, 4) for number, share in enumerate(counts.tolist()) if share},
    }


def _like(model: UNet, tensor: Tensor) -> Tensor:
    parameter = next(model.parameters())
    return tensor.to(parameter.device, parameter.dtype)
