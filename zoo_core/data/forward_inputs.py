"""Example inputs of a model's ``forward``: those that the model declares, and random ones like them."""

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
    """Example arguments of ``forward``, as tensors by name.

    The batch size (first dimension of every tensor) and the height and width of images (N, C, H, W) and clips
    (N, T, C, H, W) may vary from call to call.
    """

    tensors: Inputs

    @property
    def count(self) -> int:
        """The batch size; 0 if the tensors differ in length and are therefore no batch."""
        lengths = {len(tensor) if tensor.ndim else 0 for tensor in self.tensors.values()}
        return lengths.pop() if len(lengths) == 1 else 0

    @property
    def size(self) -> Size | None:
        """Height and width of the first image (N, C, H, W) or clip (N, T, C, H, W); None if there is none."""
        sizes = (tensor.shape[-2:] for tensor in self.tensors.values() if tensor.ndim in (4, 5))
        return next(((height, width) for height, width in sizes), None)

    def is_image(self, name: str) -> bool:
        """Whether a tensor is an image or a clip of the example's height and width."""
        return self.tensors[name].ndim in (4, 5) and tuple(self.tensors[name].shape[-2:]) == self.size

    def sample(self, count: int | None = None, size: Size | None = None, seed: int = 0) -> Inputs:
        """Random tensors in the value range of each example tensor.

        Args:
            count: the batch size; by default that of the example.
            size: height and width of images and clips; by default those of the example.
            seed: seeds the random values.
        """
        generator = torch.Generator().manual_seed(seed)
        inputs = {}
        for name, tensor in self.tensors.items():
            shape = list(tensor.shape)
            if count is not None:
                shape[0] = count
            if size is not None and self.is_image(name):
                shape[-2:] = size
            inputs[name] = _random_like(tensor, shape, generator)
        return inputs


def declared(model: Model) -> Example:
    """The example inputs that a model declares.

    These are what ``forward_example()`` returns, or else the arguments with which ``predict(**example())`` calls
    ``forward``. A batch of one example is repeated to a batch of two.

    Raises:
        ZooError: if the model declares neither, or declares values other than tensors.
    """
    arguments = model.forward_example() or _arguments_from_predict(model)
    model_name = type(model).__name__
    hint = (
        "Let forward_example() return tensors by the names of forward's arguments, "
        'such as {"image": torch.zeros(2, 1, 28, 28)}.'
    )
    if not arguments:
        reason = "its predict(**example()) does not call the model itself" if model.example() else "it has no example()"
        raise ZooError(f"{model_name} does not declare the inputs of its forward: {reason}.", hint)
    for name, value in arguments.items():
        if not isinstance(value, Tensor):
            raise ZooError(
                f"{model_name}'s forward takes '{name}' as {type(value).__name__}, but should take tensors only.", hint
            )
    with torch.no_grad():
        tensors = {name: value.clone().detach().cpu() for name, value in arguments.items()}
    example = Example(tensors)
    # torch.export specializes on dimensions of size one instead of treating them as dynamic.
    if example.count == 1:
        return Example({name: torch.cat([tensor, tensor]) for name, tensor in tensors.items()})
    return example


def _arguments_from_predict(model: Model) -> dict[str, Any]:
    example = model.example()
    if not example:
        return {}
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    handle = model.register_forward_pre_hook(lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
    try:
        model.predict(**example)
    finally:
        handle.remove()
    if not calls:
        return {}
    bound = signature(model.forward).bind(*calls[0][0], **calls[0][1])
    return {name: value for name, value in bound.arguments.items() if value is not None}


def _random_like(like: Tensor, shape: list[int], generator: torch.Generator) -> Tensor:
    if like.dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.5
    low, high = like.min(), like.max()
    if like.is_floating_point():
        return (low + (high - low) * torch.rand(shape, generator=generator)).to(like.dtype)
    return torch.randint(int(low), int(high) + 1, shape, generator=generator, dtype=like.dtype)
