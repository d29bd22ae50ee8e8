"""Sharding of networks across processes by FSDP2, and conversion between sharded and full tensors.

Files hold full tensors only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_UNIT = 1_000_000  # modules of this many parameters are gathered separately


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, gathered on every process (a collective operation); any other as it is."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def local(tensor: Tensor) -> Tensor:
    """The shard of this process; any other tensor as it is."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def sharded_like(like: Tensor, tensor: Tensor) -> Tensor:
    """``tensor`` sharded in the same way as ``like``, if ``like`` is sharded."""
    if not is_sharded(like) or is_sharded(tensor):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    sharded: Any = like
    return distribute_tensor(tensor.to(like.device), sharded.device_mesh, sharded.placements)


def _has_statistics(module: nn.Module) -> bool:
    """Whether the module has both parameters and floating-point buffers of its own, as batch normalization has."""
    own = list(module.parameters(recurse=False))
    return bool(own) and any(buffer.is_floating_point() for buffer in module.buffers(recurse=False))


def is_sharded(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")


def shard(
    module: nn.Module, optimizers: Iterable[torch.optim.Optimizer], device: torch.device, world: int, precision: str
) -> None:
    """Shard a network across ``world`` processes with FSDP2, and let its new optimizers use the sharded parameters.

    Submodules of a million parameters or more are gathered separately as they are computed.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    before = dict(module.named_parameters())
    for parameter in before.values():
        parameter.data = parameter.data.contiguous()  # FSDP2 shards along the first dimension
    policy = MixedPrecisionPolicy()
    if precision == "bfloat16":
        policy = MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32)
    mesh = init_device_mesh(device.type, (world,))
    for part in reversed(list(module.modules())):
        if precision == "bfloat16" and _has_statistics(part):
            fully_shard(part, mesh=mesh)  # in float32, as its statistics and as under autocast
            continue
        gathered = sum(parameter.numel() for parameter in part.parameters() if not is_sharded(parameter))
        if part is module or (gathered >= _UNIT and not isinstance(part, (nn.ModuleList, nn.ModuleDict))):
            fully_shard(part, mesh=mesh, mp_policy=policy)
    after = dict(module.named_parameters())
    sharded = {id(parameter): after[name] for name, parameter in before.items()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["params"] = [sharded.get(id(parameter), parameter) for parameter in group["params"]]
