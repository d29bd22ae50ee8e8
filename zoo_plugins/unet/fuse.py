"""Fusion of batch normalization for inference."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fuse_batch_norm(network: nn.Module) -> nn.Module:
    """A copy in eval mode with each batch normalization fused into the convolution before it, in channels-last memory.

    Its output equals that of ``network`` in eval mode up to rounding.
    """
    copy = deepcopy(network).eval().requires_grad_(False)
    for layers in [module for module in copy.modules() if isinstance(module, nn.Sequential)]:
        for index, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                convolution: Any = layers[index - 1]
                layers[index - 1] = fuse_conv_bn_eval(convolution, layer)
                layers[index] = nn.Identity()
    for module in copy.modules():
        if hasattr(module, "inplace"):  # an activation: its input is a convolution's output, which nothing else uses
            setattr(module, "inplace", True)  # noqa: B010  # nn.Module does not declare it
    return copy.to(memory_format=torch.channels_last)
