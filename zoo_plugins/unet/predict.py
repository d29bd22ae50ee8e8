"""Prediction from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.unet.fuse import fuse_batch_norm
from zoo_plugins.unet.rollout import roll_out, to_frames
from zoo_plugins.unet.tiles import segment
from zoo_plugins.unet.visualize import class_names, overlay

if TYPE_CHECKING:
    from zoo_plugins.unet.model import UNet

_MAX_CLASSES = 256  # masks are uint8


def read_inputs(model: UNet, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``predict``, in which what is at the path of an image or of frames is read."""
    max_value = inputs.get("max_value") or model.config.max_value
    reads: dict[str, Callable[[UNet, str, int | None], Tensor]] = {"frames": _read_frames, "image": _read_image}
    paths = {name: given for name, given in inputs.items() if name in reads and isinstance(given, (str, Path))}
    return {**inputs, **{name: reads[name](model, str(path), max_value) for name, path in paths.items()}}


def _read_frames(model: UNet, path: str, max_value: int | None) -> Tensor:
    """The last frames (T, C, H, W) in [0, 1] of the clip at ``path``, as many as the network takes."""
    config = model.config
    if config.frame_channels not in (1, 3):
        raise zoo.ZooError(f"this model takes frames with {config.frame_channels} channels, but files have 1 or 3.")
    for name in ("in_channels", "out_channels"):
        if getattr(config, name) % config.frame_channels:
            raise zoo.ZooError(
                f"this model's {name} is {getattr(config, name)}, which is not a multiple of frame_channels="
                f"{config.frame_channels}."
            )
    frames_in = config.in_channels // config.frame_channels
    start = max(0, zoo.clip_shape(path)[0] - frames_in)
    clip = zoo.read_frames(path, config.frame_channels, start, max_value=max_value)  # (T, C, H, W)
    if len(clip) < frames_in:
        raise zoo.ZooError(f"{path} has {len(clip)} frames, but this model takes {frames_in}.", "Give a longer clip.")
    return clip


def _read_image(model: UNet, path: str, max_value: int | None) -> Tensor:
    """The image (C, H, W) in [0, 1] at ``path``."""
    _check_classes(model.config.out_channels)
    return zoo.read_image(path, model.config.in_channels, max_value)


def _check_classes(count: int) -> None:
    if not 2 <= count <= _MAX_CLASSES:
        raise zoo.ZooError(f"this model has {count} classes, but a mask file can store 2 to {_MAX_CLASSES}.")


def predict_frames(model: UNet, clip: Tensor, ahead: int | None) -> dict[str, Any]:
    """``{"clip": (1, T, C, H, W) in [0, 1]}``, the ``ahead`` frames after the last of ``clip`` (T, C, H, W)."""
    config = model.config
    frames_out = config.out_channels // config.frame_channels
    count = frames_out if ahead is None else ahead
    if type(count) is not int or count < 1:
        raise zoo.ZooError(f"ahead is {ahead!r}, but should be an integer of at least 1.", f"Write ahead={frames_out}.")
    past = _like_parameters(model, clip.unsqueeze(0))  # (1, frames_in, C, H, W)
    output = roll_out(fuse_batch_norm(model), past, count, config)
    return {"clip": to_frames(output, config).clamp(0, 1).cpu()}


def predict_classes(model: UNet, image: Tensor, overlap: float) -> dict[str, Any]:
    """``{"mask": (H, W) uint8, "overlay": (1, 3, H, W) in [0, 1], "fraction": {class: fraction of the pixels}}``."""
    config = model.config
    if not 0 <= overlap < 1:
        raise zoo.BadSetting(
            f"overlap is {overlap}, but should be at least 0 and below 1.", "Write for example overlap=0.5."
        )
    _check_classes(config.out_channels)
    mask = segment(fuse_batch_norm(model), _like_parameters(model, image), overlap).cpu()  # (H, W)
    fractions = mask.flatten().bincount(minlength=config.out_channels) / mask.numel()  # (K,)
    names = class_names(config)
    return {
        "mask": mask.to(torch.uint8),
        "overlay": overlay(image, mask, config.out_channels).unsqueeze(0),
        "fraction": {names[k]: round(fraction, 4) for k, fraction in enumerate(fractions.tolist()) if fraction},
    }


def _like_parameters(model: UNet, tensor: Tensor) -> Tensor:
    parameter = next(model.parameters())
    return tensor.to(parameter.device, parameter.dtype)
