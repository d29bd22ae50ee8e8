"""MNIST digits as sprites of composed images."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

from torch import Tensor

from zoo_plugins.datasets.mnist import digits as mnist_digits

_VALIDATION_DIVISOR = 12  # the last 1/12 of the training digits is for validation: 5,000 of 60,000
_LOCATION_SETTINGS = ("source", "root", "download")  # where the digits are read from; not part of the fingerprint


class Digits:
    """``train``, ``validation`` and ``test``, each as images (N, 28, 28) uint8 and labels (N,) int64.

    ``validation`` is the last twelfth of MNIST's training digits.
    """

    def __init__(self, source: mnist_digits.Source, root: str | None, download: bool) -> None:
        self._source, self._root, self._download = source, root, download

    @property
    def train(self) -> tuple[Tensor, Tensor]:
        images, labels = self._database.train
        return images[: self._num_train], labels[: self._num_train]

    @property
    def validation(self) -> tuple[Tensor, Tensor]:
        images, labels = self._database.train
        return images[self._num_train :], labels[self._num_train :]

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        return self._database.test

    def fingerprint(self, config: Any, version: int, **more: Any) -> str:
        """A hash of the digits, of the settings that affect the examples, and of the version of their generator."""
        settings = {key: value for key, value in asdict(config).items() if key not in _LOCATION_SETTINGS}
        return self._database.fingerprint({**settings, "version": version, **more})

    @cached_property
    def _database(self) -> mnist_digits.Database:
        return mnist_digits.read(self._source, self._root, self._download)

    @property
    def _num_train(self) -> int:
        count = len(self._database.train[1])
        return count - count // _VALIDATION_DIVISOR
