"""What a U-Net is made of, on every level: two convolutions, and blocks that see further."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Stage(nn.Sequential):
    """Twice: 3 x 3 convolution, batch normalization, activation. Then so many blocks."""

    def __init__(self, inputs: int, outputs: int, activation: type[nn.Module], blocks: int = 0) -> None:
        layers: list[Any] = []
        for i, o in ((inputs, outputs), (outputs, outputs)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), activation()]
        super().__init__(*layers, *(Block(outputs) for _ in range(blocks)))


class Block(nn.Module):
    """What ConvNeXt is made of (Liu et al. 2022, figure 4), narrower, and with batch normalization: it can be folded.

    x + scale * (1 x 1 convolutions to twice the channels and back, GELU between them, of a 7 x 7 one of each channel)
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
        change: Tensor = self.path(tensor)
        return tensor + self.scale * change


def checkpointed(layer: nn.Module, tensor: Tensor) -> Tensor:
    """``layer(tensor)``, whose inner results are computed again in the backward pass instead of being kept."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(layer)

    if not torch.is_grad_enabled():
        return layer(tensor)  # type: ignore[no-any-return]
    return checkpoint(layer, tensor, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


@contextmanager
def _statistics_kept(layer: nn.Module) -> Iterator[None]:
    """Inside, batch normalizations see a batch that their running statistics have seen already."""
    norms = [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
