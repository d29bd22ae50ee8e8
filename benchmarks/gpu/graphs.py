"""A step of a bare loop as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM_UP = 5


def captured(step: Callable[..., Any], *inputs: Tensor) -> Callable[..., Any]:
    """``step`` warmed up on a side stream and captured; the result copies its inputs and replays the graph.

    What it returns is overwritten by the next step. On a CPU it is ``step`` itself, so that a script can be tried
    without a GPU.
    """
    if inputs[0].device.type != "cuda":
        return step
    static = [tensor.clone() for tensor in inputs]
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step(*static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step(*static)

    def replay(*new: Tensor) -> Any:
        for into, tensor in zip(static, new, strict=True):
            into.copy_(tensor, non_blocking=True)
        graph.replay()
        return result

    return replay
