"""MNIST: handwritten digits (LeCun et al. 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mnist import digits as mnist_digits


class MNIST(zoo.Dataset):
    """Digits as ``{"image": (N, 1, 28, 28) float32 in [0, 1], "label": (N,) int64}``.

    60,000 to train on and 10,000 to measure on from the original IDX files, gzipped or not, in ``MNIST/raw``
    below the data root; or 4,000 and 1,000 from the subset that ships with zoo. They are read once, by the
    first call of a method.

    Raises (from each method):
        zoo.ZooError: if a file is damaged, the data root can't be read or written, a mirror sends
            another file, ``source`` is "full" and missing files can't be downloaded, or ``validation`` leaves no
            digit to train on.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        source: Literal["auto", "full", "subset"] = zoo.setting(
            "auto",
            "full: all 70,000 digits; subset: the 5,000 that ship with zoo; auto: full if it can be had",
        )
        root: str | None = zoo.setting(
            None, "data root; null uses ZOO_DATA, else ZOO_HOME/data, else the platform's folder"
        )
        download: bool = zoo.setting(True, "bring missing files from the network")
        validation: int = zoo.setting(
            0,
            "so many digits, the last to train on, are kept apart to choose by; 0: choose by the evaluation's",
            ge=0,
        )

    config: Config

    def train(self) -> zoo.InMemory:
        return self._parts[0]

    def validation(self) -> zoo.InMemory:
        return self._parts[1]

    def test(self) -> zoo.InMemory:
        return self._parts[2]

    def fingerprint(self) -> str:
        """``full-`` or ``subset-``, so that a record of it says which one served, and a hash of the files."""
        return self._database.fingerprint

    @cached_property
    def _database(self) -> mnist_digits.Database:
        return mnist_digits.read(self.config.source, self.config.root, self.config.download)

    @cached_property
    def _parts(self) -> tuple[zoo.InMemory, zoo.InMemory, zoo.InMemory]:
        """Those to train on, to choose by and to measure on."""
        images, labels = self._database.train
        train = len(labels) - self.config.validation
        if train < 1:
            raise zoo.ZooError(
                f"dataset.validation is {self.config.validation}, but there are {len(labels)} digits to train on.",
                f"Write `dataset.validation={len(labels) // 10}`, say.",
            )
        evaluation = _examples(*self._database.evaluation)
        validation = _examples(images[train:], labels[train:]) if self.config.validation else evaluation
        return _examples(images[:train], labels[:train]), validation, evaluation


def _examples(images: Tensor, labels: Tensor) -> zoo.InMemory:
    """(N, 28, 28) uint8 and (N,) as examples."""
    return zoo.InMemory(image=zoo.Uint8Images(images.unsqueeze(1)), label=labels)
