"""Deterministic algorithms on accelerators, and the names of the operations that have none."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import torch

_memory: Any = torch.utils.deterministic  # its types leave out what it has
# What PyTorch warns of, once it is asked for deterministic algorithms, and to warn of others.
_UNNAMED = "a matrix product"
_WARNINGS = (
    re.compile(r"(?P<name>.+?) does not have a deterministic implementation, but you set"),
    re.compile(r"(?P<name>.+?) defaults to a non-deterministic algorithm"),
    re.compile(r"Deterministic behavior was enabled .* but this operation is not deterministic"),
)


def use_deterministic_algorithms(device: torch.device) -> None:
    """Let PyTorch use deterministic algorithms on ``device``, and warn of operations that have none.

    Nothing changes for a CPU, whose operations are deterministic.
    """
    if device.type == "cpu":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    _memory.fill_uninitialized_memory = False  # finds errors, but is a kernel for each new tensor
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


@contextmanager
def naming_operations() -> Iterator[None]:
    """Context that shows PyTorch's warnings of operations without a deterministic implementation in one line each."""
    named: set[str] = set()
    show = warnings.showwarning

    def show_named(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        operation = nondeterministic_operation(str(message))
        if operation is None:
            show(message, category, filename, lineno, file, line)
        elif operation not in named:
            named.add(operation)
            text = (
                f"the operation {operation} has no deterministic implementation on this device, so two runs with one "
                "seed may differ; write run.deterministic=false to accept it."
            )
            show(UserWarning(text), UserWarning, filename, lineno, file, line)

    warnings.showwarning = show_named
    try:
        yield
    finally:
        if warnings.showwarning is show_named:
            warnings.showwarning = show


def nondeterministic_operation(warning: str) -> str | None:
    """The operation that a warning of PyTorch calls nondeterministic, such as ``grid_sampler_2d_backward_cuda``."""
    matches = (pattern.match(warning) for pattern in _WARNINGS)
    found = next((match for match in matches if match), None)
    return found.groupdict().get("name", _UNNAMED) if found else None
