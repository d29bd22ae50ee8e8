"""Two convolutions: what a U-Net is made of, on every level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Stage(nn.Sequential):
    """Twice: 3 x 3 convolution, batch normalisation, activation."""

    def __init__(self, inputs: int, outputs: int, activation: type[nn.Module]) -> None:
        layers: list[Any] = []
        for i, o in ((inputs, outputs), (outputs, outputs)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), activation()]
        super().__init__(*layers)


def checkpointed(layer: nn.Module, tensor: Tensor) -> Tensor:
    """``layer(tensor)``, whose inner results are computed again in the backward pass instead of being kept."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(layer)

    if not torch.is_grad_enabled():
        return layer(tensor)  # type: ignore[no-any-return]
    return checkpoint(layer, tensor, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


@contextmanager
def _statistics_kept(layer: nn.Module) -> Iterator[None]:
    """Inside, batch normalisations see a batch that their running statistics have seen already."""
    norms = [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
