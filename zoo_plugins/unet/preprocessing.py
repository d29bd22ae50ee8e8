"""What the U-Net does with an image before its first layer, so that its weights include it: normalization and scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo

_EPSILON = 1e-3  # a quarter of the smallest difference in 8 bits: a uniform image becomes 0
_CUT = 200  # one pixel in 200 becomes darker than 0, and one brighter than 1, by percentiles


def _per_image(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    centered = image - image.mean(dim=(2, 3), keepdim=True)
    return centered / (centered.square().mean(dim=(2, 3), keepdim=True).sqrt() + _EPSILON)


def _percentile(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    values = image.flatten(2).sort(dim=2).values  # (N, C, H * W)
    cut = (values.shape[2] - 1) // _CUT
    low, high = values[:, :, cut, None, None], values[:, :, -1 - cut, None, None]
    return ((image - low) / (high - low + _EPSILON)).clamp(0, 1)


def _fixed(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    shift, scale = (image.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return (image - shift) / scale


NORMALIZATIONS: dict[str, Callable[[Tensor, Sequence[float], Sequence[float]], Tensor]] = {
    "image": _per_image,
    "percentile": _percentile,
    "fixed": _fixed,
}
"""Functions of images (N, C, H, W), and of the mean and the standard deviation of each channel in the settings."""


def check_statistics(normalization: str, mean: Sequence[float], std: Sequence[float], channels: int) -> None:
    """Raise ZooError unless ``mean`` and ``std`` are those of each channel, or not used and empty."""
    expected = channels if normalization == "fixed" else 0
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != expected:
            raise zoo.ZooError(
                f"model.{name} has {len(values)} values, but should have {expected}, for model.normalization="
                f"{normalization} and {channels} input channels.",
                "Give one value for each channel with `model.normalization=fixed`, and none otherwise.",
            )


def check_sizes(image_size: Sequence[int], tile: Sequence[int]) -> None:
    """Raise ZooError unless these settings have the form that is expected."""
    for name, value, lengths, expected in (
        ("image_size", image_size, (0, 1, 2), "[HEIGHT,WIDTH], or [SHORTER_SIDE]"),
        ("tile", tile, (0, 2), "[HEIGHT,WIDTH]"),
    ):
        if len(value) not in lengths:
            raise zoo.ZooError(
                f"model.{name} is {list(value)}, but should be {expected}.",
                f"Write for example `model.{name}=[256,256]`.",
            )


def resized(image: Tensor, size: Sequence[int]) -> Tensor:
    """(N, C, H, W) in another size, by bilinear interpolation with antialiasing."""
    if not torch.compiler.is_exporting() and image.shape[-2:] == torch.Size(size):
        return image
    return F.interpolate(image, size=list(size), mode="bilinear", antialias=True)


def padded_to(image: Tensor, multiple: int) -> Tensor:
    """(N, C, H, W) padded with zeros below and to the right, so that both sides are multiples of ``multiple``."""
    height, width = image.shape[-2:]
    # An exported network must work for all sizes, so the shortcut must not become part of it.
    if not torch.compiler.is_exporting() and height % multiple == width % multiple == 0:
        return image
    # In this form the exporter can infer that the padded sides are multiples. Negative numbers are not divided, since
    # ONNX rounds their quotient towards zero.
    bottom, right = ((side + multiple - 1) // multiple * multiple - side for side in (height, width))
    return F.pad(image, (0, right, 0, bottom))
