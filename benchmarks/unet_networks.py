"""The U-Nets that are compared, and the operations of a training step of each.

zoo's is the plain U-Net for the task of unet-moving-mnist, with 16 or 32 channels in its first stage. The other is
``Unet`` of segmentation_models_pytorch with random weights; its encoder and the channels of its decoder are chosen so
that the number of operations of a step is equal within 20 %.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import zoo_core as zoo

RECIPE = "unet-moving-mnist"
FRAMES, SIZE = 10, 64  # input and output frames, and their height and width
SMP: dict[int, dict[str, Any]] = {
    16: {"encoder_name": "resnet18", "encoder_depth": 4, "decoder_channels": (64, 32, 16, 8)},
    32: {"encoder_name": "resnet34", "encoder_depth": 5, "decoder_channels": (256, 128, 64, 64, 32)},
}
BASES = tuple(SMP)
PLAIN = ["model.depth=4", "model.patch=1", "model.blocks=[]"]


def overrides(base: int, batch_size: int, precision: str) -> list[str]:
    """The overrides for ``zoo run unet-moving-mnist``."""
    return [*PLAIN, f"model.base_channels={base}", f"run.batch_size={batch_size}", f"run.precision={precision}"]


def settings(base: int, batch_size: int, precision: str) -> dict[str, dict[str, Any]]:
    """The settings of the recipe's model, trainer and run, by section."""
    values = zoo.recipe(RECIPE, *overrides(base, batch_size, precision)).values
    return {part: {k: v for k, v in values[part].items() if k != "name"} for part in ("model", "trainer", "run")}


def zoo_unet(base: int) -> nn.Module:
    return zoo.build("unet", settings(base, 1, "float32")["model"])


def smp_unet(base: int) -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet(encoder_weights=None, in_channels=FRAMES, classes=FRAMES, **SMP[base])


def operations(network: nn.Module) -> int:
    """Floating-point operations of convolutions and matrix products in forward and backward pass of one example."""
    with FlopCounterMode(display=False) as counter:
        network.train()(torch.rand(1, FRAMES, SIZE, SIZE)).sum().backward()
    return int(counter.get_total_flops())
