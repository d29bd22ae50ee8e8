"""MNIST's digits as material for other pictures."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from torch import Tensor

from zoo_plugins.datasets.mnist import MNIST

HELD_OUT = 12
"""One in so many training digits is held out: the last 5,000 of 60,000."""


class Digits:
    """``train``, ``held_out`` and ``test``, each as pictures (N, 28, 28) uint8 and labels (N,) int64.

    ``held_out`` are the last of the training digits, one in ``share``.
    """

    def __init__(
        self, source: Literal["auto", "full", "subset"], root: str | None, download: bool, share: int = HELD_OUT
    ) -> None:
        self._mnist = MNIST(MNIST.Config(source=source, root=root, download=download))
        self._share = share

    @cached_property
    def train(self) -> tuple[Tensor, Tensor]:
        pictures, labels = self._all
        return pictures[: self._boundary], labels[: self._boundary]

    @cached_property
    def held_out(self) -> tuple[Tensor, Tensor]:
        pictures, labels = self._all
        return pictures[self._boundary :], labels[self._boundary :]

    @cached_property
    def test(self) -> tuple[Tensor, Tensor]:
        return _whole(self._mnist.evaluation().tensors)

    @property
    def fingerprint(self) -> str:
        return self._mnist.fingerprint()

    @cached_property
    def _all(self) -> tuple[Tensor, Tensor]:
        return _whole(self._mnist.train().tensors)

    @property
    def _boundary(self) -> int:
        count = len(self._all[1])
        return count - count // self._share


def _whole(tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return tensors["image"].squeeze(1).mul(255).round().byte(), tensors["label"]
