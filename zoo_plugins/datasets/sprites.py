"""MNIST's digits as material for other pictures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cached_property
from typing import Any

from torch import Tensor

from zoo_plugins.datasets.mnist import digits as mnist_digits

_HELD_OUT = 12  # one in so many training digits is held out: the last 5,000 of 60,000
_PLACE = ("source", "root", "download")  # settings that say where the digits are, and not what is made of them


class Digits:
    """``train``, ``held_out`` and ``test``, each as pictures (N, 28, 28) uint8 and labels (N,) int64.

    ``held_out`` are the last twelfth of the training digits.
    """

    def __init__(self, source: mnist_digits.Source, root: str | None, download: bool) -> None:
        self._source, self._root, self._download = source, root, download

    @property
    def train(self) -> tuple[Tensor, Tensor]:
        pictures, labels = self._database.train
        return pictures[: self._boundary], labels[: self._boundary]

    @property
    def held_out(self) -> tuple[Tensor, Tensor]:
        pictures, labels = self._database.train
        return pictures[self._boundary :], labels[self._boundary :]

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        return self._database.evaluation

    def fingerprint(self, config: Any) -> Any:
        """A hash, which can be added to, of the digits and of those settings of what is made of them that matter."""
        settings = {key: value for key, value in asdict(config).items() if key not in _PLACE}
        return hashlib.sha256(json.dumps([self._database.fingerprint, settings]).encode())

    @cached_property
    def _database(self) -> mnist_digits.Database:
        return mnist_digits.read(self._source, self._root, self._download)

    @property
    def _boundary(self) -> int:
        count = len(self._database.train[1])
        return count - count // _HELD_OUT
