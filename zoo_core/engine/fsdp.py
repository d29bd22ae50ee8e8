"""Tensors that are divided among processes (FSDP2), in one piece and back: files hold whole ones alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_UNIT = 1_000_000  # parameters that are gathered at once


def full_tensor(tensor: Tensor) -> Tensor:
    """A divided tensor in one piece, on every process, all of which must ask; any other as it is."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def local(tensor: Tensor) -> Tensor:
    """What this process has of a tensor."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def sharded_like(like: Tensor, tensor: Tensor) -> Tensor:
    """``tensor`` divided as ``like`` is, if that is."""
    if not is_sharded(like) or is_sharded(tensor):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    divided: Any = like
    return distribute_tensor(tensor.to(like.device), divided.device_mesh, divided.placements)


def _keeps_statistics(module: nn.Module) -> bool:
    """Whether its own parameters go with buffers, as those of batch normalization do, which stay in float32."""
    own = list(module.parameters(recurse=False))
    return bool(own) and any(buffer.is_floating_point() for buffer in module.buffers(recurse=False))


def is_sharded(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")


def shard(
    module: nn.Module, optimizers: Iterable[torch.optim.Optimizer], device: torch.device, world: int, precision: str
) -> None:
    """Divide a network among ``world`` processes, by PyTorch's FSDP2, and have its new optimizers heed the parts.

    Modules of a million parameters or more are gathered one after the other as they are computed.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    before = dict(module.named_parameters())
    for parameter in before.values():
        parameter.data = parameter.data.contiguous()  # what is divided is divided along the first dimension
    policy = MixedPrecisionPolicy()
    if precision == "bfloat16":
        policy = MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32)
    mesh = init_device_mesh(device.type, (world,))
    for part in reversed(list(module.modules())):
        if precision == "bfloat16" and _keeps_statistics(part):
            fully_shard(part, mesh=mesh)  # in float32, as its statistics are, and as autocast has it
            continue
        gathered = sum(parameter.numel() for parameter in part.parameters() if not is_sharded(parameter))
        if part is module or (gathered >= _UNIT and not isinstance(part, (nn.ModuleList, nn.ModuleDict))):
            fully_shard(part, mesh=mesh, mp_policy=policy)
    after = dict(module.named_parameters())
    divided = {id(parameter): after[name] for name, parameter in before.items()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["params"] = [divided.get(id(parameter), parameter) for parameter in group["params"]]
