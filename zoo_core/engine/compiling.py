"""torch.compile of the networks of a run."""

from __future__ import annotations

from torch import nn

# max-autotune without its own CUDA graphs, so that it composes with the capture of the whole step as one graph.
_MODES = {"default": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune-no-cudagraphs"}


def compile_module(module: nn.Module, mode: str) -> None:
    """Compile ``module`` in place, once for each shape of its inputs, in a mode of ``run.compile``.

    Parameter names stay the same, and the unwrapped module is compiled, too.
    """
    if mode != "off":
        # By default, a second shape makes sizes variables, and the kernels slower.
        module.compile(mode=_MODES[mode], dynamic=False)


def uses_own_graphs(mode: str) -> bool:
    """Whether a mode of ``run.compile`` captures CUDA graphs of its own, so that a step with it can't be captured."""
    return mode == "reduce-overhead"
