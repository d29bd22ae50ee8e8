"""Losses between predicted and true frames, and weighted sums of them."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo

# Takes the network's output, the frames computed from it, and the true frames, each (N, T, C, H, W).
_Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
_TERM = re.compile(r"(?:(?P<weight>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e-?[0-9]+)?)\*)?(?P<name>[a-z0-9]+)")
_CHARBONNIER_EPSILON = 1e-3


def _charbonnier(output: Tensor, frames: Tensor, target: Tensor) -> Tensor:
    """mean(sqrt((x - y)^2 + eps^2)) with eps = 0.001 (Charbonnier et al. 1994), a smooth L1 loss."""
    return ((frames - target).square() + _CHARBONNIER_EPSILON**2).sqrt().mean()


LOSSES: dict[str, _Loss] = {
    "mse": lambda output, frames, target: F.mse_loss(frames, target),
    "l1": lambda output, frames, target: F.l1_loss(frames, target),
    "charbonnier": _charbonnier,
    "bce": lambda output, frames, target: F.binary_cross_entropy_with_logits(output, target),
}


def parse_loss(text: str, *, logits: bool) -> dict[str, tuple[float, _Loss]]:
    """Parses ``"mse"`` or ``"0.5*mse+0.5*l1"`` into weights and losses by name.

    Raises:
        zoo.ZooError: if it is not such a sum, or contains 'bce' but the model's output are not logits (``logits``).
    """
    terms: dict[str, tuple[float, _Loss]] = {}
    for part in text.replace(" ", "").split("+"):
        match = _TERM.fullmatch(part)
        name = match["name"] if match else ""
        if match is None or name not in LOSSES or name in terms:
            raise zoo.ZooError(
                f"trainer.loss is '{text}', but should be {', '.join(LOSSES)} or a weighted sum of them.",
                "Write for example `trainer.loss=mse` or `trainer.loss=0.8*mse+0.2*l1`.",
            )
        terms[name] = (float(match["weight"] or 1), LOSSES[name])
    if "bce" in terms and not logits:
        raise zoo.ZooError(
            "trainer.loss contains 'bce', but the model's output are frames, not logits.",
            "Write `model.output=frame_logits model.head=linear`.",
        )
    return terms
