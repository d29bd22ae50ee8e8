"""Fusion of batch normalization for inference."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@dataclass
class _Kept:
    """A fused copy, and the weights that it was made of."""

    tensors: list[ref[Tensor]]
    versions: list[tuple[int, int, float]]
    copy: nn.Module

    def is_of(self, tensors: list[Tensor]) -> bool:
        """Whether the network still has these weights, unchanged."""
        same = len(tensors) == len(self.tensors)
        same = same and all(known() is one for known, one in zip(self.tensors, tensors, strict=True))
        return same and self.versions == [_version(one) for one in tensors]


_KEPT: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()


def fuse_batch_norm(network: nn.Module) -> nn.Module:
    """A copy in eval mode with each batch normalization fused into the convolution before it, in channels-last memory.

    Its output equals that of ``network`` in eval mode up to rounding. It is kept until the network or its weights
    change, since making it takes as long as several predictions.
    """
    tensors = [*network.parameters(), *network.buffers()]
    kept = _KEPT.get(network)
    if kept is None or not kept.is_of(tensors):
        kept = _KEPT[network] = _Kept(list(map(ref, tensors)), list(map(_version, tensors)), _fused(network))
    return kept.copy


def _version(tensor: Tensor) -> tuple[int, int, float]:
    """What tells that a tensor was changed in place; the sum notices what PyTorch does not count."""
    counted = -1 if tensor.is_inference() else tensor._version
    return counted, tensor.data_ptr(), float(tensor.detach().sum())


def _fused(network: nn.Module) -> nn.Module:
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
