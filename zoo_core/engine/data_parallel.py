"""What goes wrong silently, or with little explanation, when several processes train copies of a network."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from zoo_core.engine.fsdp import is_sharded
from zoo_core.engine.process_group import ProcessGroup
from zoo_core.errors import RunFailed

_MAX_NAMES = 3  # in a message
_UNUSED = re.compile(r"did not receive grad for rank (?P<rank>\d+): (?P<indices>\d+(?:[ ,]+\d+)*)")
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by size of an element in bytes


def watch(wrapper: DistributedDataParallel, optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Call :func:`check_complete` before each step of the optimizers and before each forward pass."""
    wrapper.register_forward_pre_hook(lambda *_: check_complete(wrapper))
    for optimizer in optimizers:
        optimizer.register_step_pre_hook(lambda *_: check_complete(wrapper))


def check_complete(wrapper: DistributedDataParallel) -> None:
    """Check that the last backward pass gave every parameter a gradient; otherwise some were not averaged.

    Raises:
        RunFailed: naming the parameters without one.
    """
    # PyTorch itself raises in the next forward pass, after the optimizer's step, and gives indices of parameters.
    try:
        wrapper._check_reducer_finalized()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        found = _UNUSED.search(str(error))
        if found is None:
            raise
        index_to_name = dict(enumerate(name for name, one in wrapper.module.named_parameters() if one.requires_grad))
        names = [index_to_name.get(int(index), f"parameter {index}") for index in re.findall(r"\d+", found["indices"])]
        raise RunFailed(
            f"{_listed(names)} of {type(wrapper.module).__name__} got no gradient in process {found['rank']}, but with "
            "several processes every parameter needs one in every step.",
            "Write `run.find_unused_parameters=true`, or freeze parameters that are not used: requires_grad_(False).",
        ) from error


def check_equal(modules: Iterable[nn.Module], group: ProcessGroup) -> None:
    """Check that the parameters of ``modules`` are bit for bit the same in all processes.

    Raises:
        RunFailed: naming those that differ.
    """
    named: dict[int, tuple[str, Tensor]] = {}
    for module in modules:
        inner = module.module if isinstance(module, DistributedDataParallel) else module
        for name, parameter in inner.named_parameters():
            if not is_sharded(parameter) and not is_lazy(parameter):
                named.setdefault(id(parameter), (f"{type(inner).__name__}.{name}", parameter))
    sums = [_checksum(parameter.detach()).cpu() for _, parameter in named.values()]  # they may be on several devices
    own = torch.stack(sums) if sums else torch.zeros(0, dtype=torch.int64)
    # The processes may hold different numbers of parameters, so those are compared first.
    if group.all_equal(len(own)):
        different = group.different(own)
        if not different.any():
            return
        names = [name for (name, _), differs in zip(named.values(), different.tolist(), strict=True) if differs]
        message = f"{_listed(names)} differ between the processes"
    else:
        message = "the processes train different numbers of parameters"
    raise RunFailed(
        f"{message}, so their gradients are not averaged.",
        "In step(), call the network that engine.prepare() returned; create all parameters before, and alike in all "
        "processes.",
    )


def _checksum(tensor: Tensor) -> Tensor:
    """A sum over the bits of a tensor, each element weighted by its position modulo 31: shape (), int64."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    bits = real.contiguous().view(_INTEGERS[real.element_size()]).flatten()
    return bits.sum(dtype=torch.int64) + 31 * bits[::31].sum(dtype=torch.int64)


def _listed(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(f"'{name}'" for name in names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
