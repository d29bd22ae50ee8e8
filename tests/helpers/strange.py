"""Models that hold more than plain parameters: what a weights file must not spoil."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn

import zoo_core as zoo


class Plain(zoo.Model):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(4, "numbers", ge=1)

    config: Config


class Tied(Plain):
    """A table of words that is read at the start and at the end, as language models do."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.words = nn.Embedding(7, config.width)
        self.head = nn.Linear(config.width, 7, bias=False)
        self.head.weight = self.words.weight
        self.again = self.head

    def forward(self, number: Tensor) -> Tensor:
        return self.head(self.words(number))


class Holds(Plain):
    """Tensors that are in no file, in every place where a model may have them."""

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


class HoldsBuffer(Holds):
    def make(self, width: int) -> None:
        self.register_buffer("ramp", torch.arange(float(width)), persistent=False)


class HoldsAttribute(Holds):
    def make(self, width: int) -> None:
        self.ramp = torch.arange(float(width))


class HoldsList(Holds):
    def make(self, width: int) -> None:
        self.ramps = {"first": [torch.arange(float(width))]}

    @property
    def ramp(self) -> Tensor:  # type: ignore[override]
        return self.ramps["first"][0]


class HoldsObject(Holds):
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


class Unsigned(Plain):
    """Kinds of numbers that few models have."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.turn = nn.Parameter(torch.full((config.width,), 1 + 2j))
        self.large = nn.Parameter(torch.full((config.width,), 1e6))
        for kind in (torch.uint16, torch.uint32, torch.uint64):
            self.register_buffer(str(kind).removeprefix("torch."), torch.ones(config.width, dtype=kind))


class Frozen(Plain):
    """A layer that is trained, and one that is not."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.fixed = nn.Linear(config.width, config.width).requires_grad_(False)
        self.free = nn.Linear(config.width, 1)


class Bfloat(Plain):
    """One whose parameters are in half precision by its own choice."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.width, 1, dtype=torch.bfloat16)


class Unmeant(Plain):
    """One that looks at the values of its parameters as it is built, which the meta device has not."""

    def __init__(self, config: Plain.Config) -> None:
        super().__init__(config)
        self.layer = nn.Linear(config.width, 1)
        self.scale = float(self.layer.weight.detach().abs().sum())


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry: zoo.Registry) -> None:
        for model in (
            *(Tied, SharesBuffer, HoldsBuffer, HoldsAttribute, HoldsList, HoldsObject),
            *(Unsigned, Frozen, Bfloat, Unmeant),
        ):
            registry.model(model.__name__.lower(), f"strange:{model.__name__}", summary="Strange")
