"""The operations that a function calls, and those that CUDA does not compute deterministically."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# As listed by torch.use_deterministic_algorithms, by the names that PyTorch dispatches.
NONDETERMINISTIC = frozenset(
    {
        *(f"grid_sampler_{n}d_backward" for n in (2, 3)),
        *(f"upsample_{kind}_backward" for kind in ("linear1d", "bilinear2d", "bicubic2d", "trilinear3d")),
        *(f"_upsample_{kind}2d_aa_backward" for kind in ("bilinear", "bicubic")),
        *(f"{kind}_pad{n}d_backward" for kind in ("reflection", "replication") for n in (1, 2, 3)),
        *(f"_adaptive_avg_pool{n}d_backward" for n in (2, 3)),
        *(f"adaptive_max_pool{n}d_backward" for n in (2, 3)),
        *(f"fractional_max_pool{n}d_backward" for n in (2, 3)),
        *(f"max_unpool{n}d" for n in (2, 3)),
        *("avg_pool3d_backward", "max_pool3d_with_indices_backward", "_ctc_loss_backward", "histc", "put_", "put"),
        *("_embedding_bag_dense_backward", "median", "nanmedian", "kthvalue", "scatter_reduce", "scatter_reduce_"),
    }
)
# Deterministic if asked for, but then they sort their indices first.
SLOW_IF_DETERMINISTIC = frozenset(
    {"index_put", "index_put_", "_index_put_impl_", "scatter_add", "scatter_add_", "index_add", "index_add_"}
)


def is_nondeterministic(operation: str, arguments: tuple[Any, ...]) -> bool:
    if operation == "nll_loss2d_forward":
        return bool(arguments[3] != 0)  # reduction: none is deterministic, mean and sum are not
    if operation == "bincount":
        return len(arguments) > 1 and arguments[1] is not None  # weights
    return operation in NONDETERMINISTIC


class Recorder(TorchDispatchMode):
    """Records the operations that are called in this context, in backward passes as well."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: set[str] = set()
        self.nondeterministic: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function.overloadpacket.__name__)
        self.operations.add(name)
        if is_nondeterministic(name, args):
            self.nondeterministic.add(name)
        return function(*args, **(kwargs or {}))


@contextmanager
def as_on_an_accelerator() -> Iterator[Recorder]:
    """Context in which plugins choose the deterministic implementations that they use on accelerators."""
    torch.use_deterministic_algorithms(True)
    try:
        with Recorder() as recorder:
            yield recorder
    finally:
        torch.use_deterministic_algorithms(False)
