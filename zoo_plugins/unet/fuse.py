"""The network as it is fastest for predictions."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode with every normalization folded into the convolution before it, in channels-last memory.

    It gives what ``network`` gives in eval mode, up to rounding.
    """
    copy = deepcopy(network).eval().requires_grad_(False)
    for layers in [module for module in copy.modules() if isinstance(module, nn.Sequential)]:
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                convolution: Any = layers[place - 1]
                layers[place - 1] = fuse_conv_bn_eval(convolution, layer)
                layers[place] = nn.Identity()
    for module in copy.modules():
        if hasattr(module, "inplace"):  # an activation: what it is given is a convolution's, and needed by nothing else
            setattr(module, "inplace", True)  # noqa: B010  # not every module's attribute, says its type
    return copy.to(memory_format=torch.channels_last)
