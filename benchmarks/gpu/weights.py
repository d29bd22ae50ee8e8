"""The published weights on the GPU and on the CPU: the largest difference of their outputs, over the largest value.

Both are float32, as `zoo.load` returns the model, with torch's default settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree

import zoo_core as zoo
from benchmarks.gpu.parts import WEIGHTS_NAMES
from benchmarks.gpu.results import Options, Results
from zoo_core.data.forward_inputs import declared


def measure(results: Results, options: Options) -> None:
    for name in WEIGHTS_NAMES:
        with results.attempt(f"difference of {name}"):
            on_cpu, on_device = (zoo.load(name, device=device) for device in ("cpu", options.device))
            inputs = declared(on_cpu).sample(count=8)
            moved = {key: value.to(options.device) for key, value in inputs.items()}
            with torch.inference_mode():
                expected = on_cpu(**inputs)
                results.add(f"difference of {name}", difference(expected, on_device(**moved)))
                with without_tf32():
                    results.detail(f"difference of {name} without TF32", difference(expected, on_device(**moved)))
            if arguments := on_cpu.example():
                with results.attempt(f"difference of {name}, predict"):
                    predicted, other = on_cpu.predict(**arguments), on_device.predict(**arguments)
                    results.add(f"difference of {name}, predict", difference(predicted, other))


@contextmanager
def without_tf32() -> Iterator[None]:
    """Context in which convolutions of float32 tensors do not use TF32, which is PyTorch's default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def difference(expected: Any, actual: Any) -> float:
    """The largest over all tensors and numbers."""
    pairs = zip(tensors(expected), tensors(actual), strict=True)
    found = [float((one - other.cpu()).abs().max() / one.abs().max().clamp(min=1e-30)) for one, other in pairs]
    return max(found)


def tensors(values: Any) -> list[Tensor]:
    leaves = [leaf for leaf in tree.tree_leaves(values) if isinstance(leaf, (Tensor, int, float))]
    return [torch.as_tensor(leaf).float() for leaf in leaves]
