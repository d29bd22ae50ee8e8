"""What a model's forward is called with: what the model declares, and more of the same kind."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from zoo_core.errors import ZooError
from zoo_core.model import Model

Inputs = dict[str, Tensor]
Size = tuple[int, int]


@dataclass(frozen=True)
class Example:
    """Tensors by the names of forward's arguments, and which of their dimensions may be others."""

    tensors: Inputs

    @property
    def count(self) -> int:
        """Examples in it; 0 where the tensors are not of one length, and so are no batch."""
        lengths = {len(tensor) if tensor.ndim else 0 for tensor in self.tensors.values()}
        return lengths.pop() if len(lengths) == 1 else 0

    @property
    def size(self) -> Size | None:
        """Height and width, where there are pictures (N, C, H, W) or clips (N, T, C, H, W)."""
        sizes = (tensor.shape[-2:] for tensor in self.tensors.values() if tensor.ndim in (4, 5))
        return next(((height, width) for height, width in sizes), None)

    def is_picture(self, name: str) -> bool:
        """Whether height and width of a tensor change with those of the others."""
        return self.tensors[name].ndim in (4, 5) and tuple(self.tensors[name].shape[-2:]) == self.size

    def drawn(self, count: int | None = None, size: Size | None = None, seed: int = 0) -> Inputs:
        """Random tensors between the least and the largest value of each, so many and of that size."""
        generator = torch.Generator().manual_seed(seed)
        found = {}
        for name, tensor in self.tensors.items():
            shape = list(tensor.shape)
            if count is not None:
                shape[0] = count
            if size is not None and self.is_picture(name):
                shape[-2:] = size
            found[name] = _draw(tensor, shape, generator)
        return found


def declared(model: Model) -> Example:
    """What the model says its forward takes: ``forward_example()``, or what ``predict(**example())`` calls it with.

    Raises:
        ZooError: if it declares neither, or something that is no tensor.
    """
    found = model.forward_example() or _given_by_predict(model)
    kind = type(model).__name__
    hint = 'Let its forward_example() give tensors by the names of forward\'s arguments: {"image": (2, 1, 28, 28)}.'
    if not found:
        reason = "its predict(**example()) does not call the model itself" if model.example() else "it has no example()"
        raise ZooError(f"{kind} does not say what its forward takes: {reason}.", hint)
    for name, value in found.items():
        if not isinstance(value, Tensor):
            raise ZooError(
                f"{kind}'s forward takes '{name}' as {type(value).__name__}, but zoo can make tensors alone.", hint
            )
    with torch.no_grad():
        tensors = {name: value.clone().detach().cpu() for name, value in found.items()}
    example = Example(tensors)
    # A length of one is not followed as one that may change: the exporter takes it for a dimension that is spread.
    return Example({name: torch.cat([one, one]) for name, one in tensors.items()}) if example.count == 1 else example


def _given_by_predict(model: Model) -> dict[str, Any]:
    example = model.example()
    if not example:
        return {}
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    handle = model.register_forward_pre_hook(lambda _, given, named: calls.append((given, named)), with_kwargs=True)
    try:
        model.predict(**example)
    finally:
        handle.remove()
    if not calls:
        return {}
    bound = signature(model.forward).bind(*calls[0][0], **calls[0][1])
    return {name: value for name, value in bound.arguments.items() if value is not None}


def _draw(like: Tensor, shape: list[int], generator: torch.Generator) -> Tensor:
    if like.dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.5
    least, most = like.min(), like.max()
    if like.is_floating_point():
        return (least + (most - least) * torch.rand(shape, generator=generator)).to(like.dtype)
    return torch.randint(int(least), int(most) + 1, shape, generator=generator, dtype=like.dtype)
