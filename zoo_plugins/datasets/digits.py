"""MNIST's digits as material for other pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any, Literal

from torch import Tensor

from zoo_plugins.datasets.mnist import MNIST

_HELD_OUT = 12  # one in so many training digits is held out: the last 5,000 of 60,000
_PLACE = ("source", "root", "download")  # settings that say where the digits are, and not what is made of them


class Digits:
    """``train``, ``held_out`` and ``test``, each as pictures (N, 28, 28) uint8 and labels (N,) int64.

    ``held_out`` are the last twelfth of the training digits.
    """

    def __init__(self, source: Literal["auto", "full", "subset"], root: str | None, download: bool) -> None:
        self._mnist = MNIST(MNIST.Config(source=source, root=root, download=download))

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

    def fingerprint(self, config: Any) -> Any:
        """A hash, which can be added to, of the digits and of those settings of what is made of them that matter."""
        settings = {key: value for key, value in asdict(config).items() if key not in _PLACE}
        return hashlib.sha256(json.dumps([self._mnist.fingerprint(), settings]).encode())

    @cached_property
    def _all(self) -> tuple[Tensor, Tensor]:
        return _whole(self._mnist.train().tensors)

    @property
    def _boundary(self) -> int:
        count = len(self._all[1])
        return count - count // _HELD_OUT


def _whole(tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    return tensors["image"].squeeze(1).mul(255).round().byte(), tensors["label"]
