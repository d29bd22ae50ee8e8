"""The settings of torch, NumPy and Python that a training depends on, which are put back after it was measured."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim import optimizer as all_optimizers
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from zoo_core.registry.process_state import torch_settings
from zoo_core.training.kept_value import kept

_FLAGS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (torch.backends.cudnn, ("enabled", "allow_tf32")),
    (torch.backends.cuda.matmul, ("allow_tf32",)),
    (torch.backends.mkldnn, ("enabled", "deterministic")),
)


@contextmanager
def settings_kept() -> Iterator[None]:
    """Context after which the settings, and the hooks of all modules and optimizers, are what they were before."""
    settings = [(get, put_back, get()) for get, put_back in (*torch_settings().values(), *_more_settings())]
    depth, filters = _autocast_depth(), list(warnings.filters)
    modes, pack = _modes(), _pack_hooks()
    try:
        with kept(_hooks_of_all()), np.errstate():
            yield
    finally:
        _leave_modes(modes)
        while _pack_hooks() not in (None, pack):
            torch._C._autograd._pop_saved_tensors_default_hooks()
        for get, put_back, value in settings:
            if get() != value:
                put_back(value)
        _leave_autocast(depth)
        if warnings.filters != filters:  # each change shows warnings once more that were shown before
            warnings.resetwarnings()
            cast("list[Any]", warnings.filters).extend(filters)


@contextmanager
def hooks_kept(optimizers: Iterable[Optimizer], tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Context after which optimizers and tensors have the hooks that they had before; those of modules are theirs."""
    of_tensors = [(one, list(_hooks_of(one))) for one in tensors]
    held = [hooks for one in optimizers for name, hooks in vars(one).items() if name.endswith("_hooks")]
    held += [hooks for _, both in of_tensors for hooks in both if hooks is not None]
    try:
        with kept(held):
            yield
    finally:
        for one, both in of_tensors:
            for hooks, before in zip(_hooks_of(one), both, strict=True):
                if hooks is not None and before is None:
                    hooks.clear()  # torch goes on calling what it has, whatever the attribute is set to


def _hooks_of(tensor: torch.Tensor) -> tuple[Any, Any]:
    return tensor._backward_hooks, tensor._post_accumulate_grad_hooks


def _more_settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """What programs set by right while they are imported, or as a run does for its precision."""
    yield torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled
    for device in ("cpu", "cuda", "mps", "xpu"):
        yield partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device)
        yield partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)
    for owner, names in _FLAGS:
        for name in names:
            yield partial(getattr, owner, name), partial(setattr, owner, name)


def _modes() -> tuple[list[Any], list[Any]]:
    """The open contexts that change what functions and operations of torch do."""
    count = torch._C._len_torch_function_stack()
    return [torch._C._get_function_stack_at(at) for at in range(count)], _get_current_dispatch_mode_stack()


def _leave_modes(before: tuple[list[Any], list[Any]]) -> None:
    functions, operations = _modes()
    for mode in reversed(operations):
        if not any(mode is one for one in before[1]):
            mode.__exit__(None, None, None)
    default = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)  # of set_default_device
    left = [mode for mode in functions if mode is default or any(mode is one for one in before[0])]
    if len(left) < len(functions):  # not by __exit__: a device that is entered can't be left by its mode
        for _ in functions:
            torch._C._pop_torch_function_stack()
        for mode in left:
            torch._C._push_on_torch_function_stack(mode)


def _pack_hooks() -> Any:
    """The hooks that autograd calls with each tensor that it keeps; None without one."""
    return torch._C._autograd._top_saved_tensors_default_hooks(False)


def _hooks_of_all() -> list[Any]:
    holders: tuple[Any, ...] = (nn.modules.module, all_optimizers)
    return [value for one in holders for name, value in vars(one).items() if name.startswith("_global_")]


def _autocast_depth() -> int:
    """How many contexts of autocast are open; torch has no function that only returns it."""
    depth = torch.autocast_increment_nesting() - 1
    torch.autocast_decrement_nesting()
    return depth


def _leave_autocast(depth: int) -> None:
    """Close what was opened and not closed, or else copies of weights in half precision would outlive a step."""
    if _autocast_depth() == depth:
        return
    while torch.autocast_decrement_nesting() > depth:
        pass
    torch.clear_autocast_cache()
