"""Models with unusual state: tied, shared, frozen, complex or unsaved tensors."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn

import zoo_core as zoo


class Plain(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(4, "size of each tensor", ge=1)

    config: Config


class Tied(Plain):
    """An embedding whose weight is also that of the output layer, as in language models."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(7, config.width)
        self.head = nn.Linear(config.width, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.again = self.head

    def forward(self, number: Tensor) -> Tensor:
        return self.head(self.embedding(number))


class Unsaved(Plain):
    """Base of models with tensors outside the state dict."""

    kept: Tensor
    ramp: Tensor

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.width, config.width)
        self.register_buffer("kept", torch.zeros(config.width, dtype=torch.int64))
        self.make(config.width)

    def make(self, width: int) -> None:
        raise NotImplementedError

    def forward(self, point: Tensor) -> Tensor:
        return self.layer(point)


class Masked(Unsaved):
    """Buffers that are not finite, as those of causal masks and of observers before the first value."""

    def make(self, width: int) -> None:
        self.register_buffer("ramp", torch.triu(torch.full((width, width), -torch.inf), 1))
        self.register_buffer("lowest", torch.tensor(torch.inf))
        self.register_buffer("unknown", torch.tensor([torch.nan, 1.0]))

    def forward(self, point: Tensor) -> Tensor:
        return torch.softmax(self.layer(point)[:, None] + self.ramp, -1).sum(1)


class Transposed(Plain):
    """A parameter that is not contiguous."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.width, config.width)
        self.layer.weight = nn.Parameter(torch.randn(config.width, config.width).T)

    def forward(self, point: Tensor) -> Tensor:
        return self.layer(point)


class Lazy(Plain):
    """A layer that takes the number of its inputs from the first batch."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.layer = nn.LazyLinear(config.width)

    def forward(self, point: Tensor) -> Tensor:
        return self.layer(point)


class UnsavedBuffer(Unsaved):
    def make(self, width: int) -> None:
        self.register_buffer("ramp", torch.arange(float(width)), persistent=False)


class UnsavedAttribute(Unsaved):
    def make(self, width: int) -> None:
        self.ramp = torch.arange(float(width))


class UnsavedList(Unsaved):
    def make(self, width: int) -> None:
        self.ramps = {"first": [torch.arange(float(width))]}

    @property
    def ramp(self) -> Tensor:  # type: ignore[override]
        return self.ramps["first"][0]


class UnsavedObject(Unsaved):
    def make(self, width: int) -> None:
        self.schedule = SimpleNamespace(inner={"ramp": torch.arange(float(width))})

    @property
    def ramp(self) -> Tensor:  # type: ignore[override]
        return self.schedule.inner["ramp"]


class SharesBuffer(Plain):
    """Two modules with one buffer."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.left, self.right = nn.Module(), nn.Module()
        self.left.register_buffer("mean", torch.ones(config.width))
        self.right.register_buffer("mean", self.left.mean)


class UnusualTypes(Plain):
    """Complex and unsigned tensors."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.phase = nn.Parameter(torch.full((config.width,), 1 + 2j))
        self.large = nn.Parameter(torch.full((config.width,), 1e6))
        for kind in (torch.uint16, torch.uint32, torch.uint64):
            self.register_buffer(str(kind).removeprefix("torch."), torch.ones(config.width, dtype=kind))


class Frozen(Plain):
    """One trainable and one frozen layer."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.frozen = nn.Linear(config.width, config.width).requires_grad_(False)
        self.trained = nn.Linear(config.width, 1)


class Bfloat(Plain):
    """A model whose own parameters are in half precision."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.width, 1, dtype=torch.bfloat16)


class ReadsValues(Plain):
    """Reads values of its parameters in the constructor, which fails on the meta device."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.width, 1)
        self.scale = float(self.layer.weight.detach().abs().sum())


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        for model in (
            *(Tied, SharesBuffer, UnsavedBuffer, UnsavedAttribute, UnsavedList, UnsavedObject),
            *(UnusualTypes, Frozen, Bfloat, ReadsValues, Masked, Transposed, Lazy),
        ):
            registry.model(model.__name__.lower(), f"strange_models:{model.__name__}", summary="Strange")
