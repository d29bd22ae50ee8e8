"""Building blocks of the U-Net: stages of two convolutions, and ConvNeXt blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Stage(nn.Sequential):
    """Twice 3 x 3 convolution, batch normalization and activation, then ``num_blocks`` ConvNeXt blocks."""

    def __init__(self, in_channels: int, channels: int, activation: type[nn.Module], num_blocks: int = 0) -> None:
        layers: list[Any] = []
        for i, o in ((in_channels, channels), (channels, channels)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), activation()]
        super().__init__(*layers, *(Block(channels) for _ in range(num_blocks)))


class Block(nn.Module):
    """ConvNeXt block (Liu et al. 2022, figure 4) with an expansion of 2 instead of 4.

    Batch normalization replaces layer normalization, since it can be fused into the depthwise convolution.
    ``x + scale * conv1x1(gelu(conv1x1(batch_norm(depthwise_conv7x7(x)))))``
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.GELU(),
            nn.Conv2d(2 * channels, channels, 1),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 0.1))

    def forward(self, tensor: Tensor) -> Tensor:
        residual: Tensor = self.path(tensor)  # (N, C, H, W)
        return tensor + self.scale * residual


def checkpointed(layer: nn.Module, tensor: Tensor) -> Tensor:
    """``layer(tensor)``; its activations are recomputed in the backward pass instead of stored."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _frozen_statistics(layer)

    if not torch.is_grad_enabled():
        return layer(tensor)  # type: ignore[no-any-return]
    if torch.compiler.is_compiling():  # a compiled graph updates the statistics once
        return checkpoint(layer, tensor, use_reentrant=False)  # type: ignore[no-any-return]
    return checkpoint(layer, tensor, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


@contextmanager
def _frozen_statistics(layer: nn.Module) -> Iterator[None]:
    """Disables the update of running statistics, which the first forward pass has already made for this batch."""
    norms = [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)]
    saved = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, saved, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
