"""torch.compile of the networks of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

# max-autotune without its own CUDA graphs, so that it composes with the capture of the whole step as one graph.
_MODES = {"default": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune-no-cudagraphs"}


def compile_module(module: nn.Module, mode: str, backend: str = "inductor") -> None:
    """Compile ``module`` in place, once for each shape of its inputs, in a mode of ``run.compile``.

    Parameter names stay the same, and the unwrapped module is compiled, too.
    """
    if mode != "off":
        # By default, a second shape makes sizes variables, and the kernels slower.
        module.compile(mode=_MODES[mode], backend=backend, dynamic=False)


def not_compiled(mode: str) -> AbstractContextManager[object]:
    """Context in which compiled modules run as they are written.

    Evaluations and previews have other shapes and modes than steps: each would be compiled again, for a few calls.
    """
    return nullcontext() if mode == "off" else torch.compiler.set_stance("force_eager")


def uses_own_graphs(mode: str) -> bool:
    """Whether a mode of ``run.compile`` captures CUDA graphs of its own, so that a step with it can't be captured."""
    return mode == "reduce-overhead"
