"""MNIST: handwritten digits (LeCun et al. 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.mnist import digits as mnist_digits


class MNIST(zoo.Dataset):
    """Digits as ``{"image": (N, 1, 28, 28) float32 in [0, 1], "label": (N,) int64}``.

    60,000 training and 10,000 test digits from the original IDX files, gzipped or not, in ``MNIST/raw`` below the data
    root; or 4,000 and 1,000 of the bundled subset. Without ``validation_size`` the validation split is the test split.
    The files are read once, by the first call of a method.

    Raises (from each method):
        zoo.ZooError: if a file is damaged, the data root can't be read or written, a mirror sends a different file,
            ``source`` is "full" and missing files can't be downloaded, or ``validation_size`` leaves no training
            digits.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        source: Literal["auto", "full", "subset"] = zoo.setting(
            "auto", "full: all 70,000 digits; subset: the bundled 5,000; auto: full if available, otherwise subset"
        )
        root: str | None = zoo.setting(
            None, "data root; null: ZOO_DATA, otherwise ZOO_HOME/data, otherwise the platform's data folder"
        )
        download: bool = zoo.setting(True, "download missing files")
        validation_size: int = zoo.setting(
            0, "the last N training digits are the validation split; 0: the validation split is the test split", ge=0
        )

    config: Config

    def train(self) -> zoo.InMemory:
        return self._splits[0]

    def validation(self) -> zoo.InMemory:
        return self._splits[1]

    def test(self) -> zoo.InMemory:
        return self._splits[2]

    def provides(self) -> dict[str, Any]:
        return {"num_classes": 10, "in_channels": 1}

    def fingerprint(self) -> str:
        """Hash of the digits and of the size of the validation split."""
        return self._database.fingerprint({"validation_size": self.config.validation_size})

    @cached_property
    def _database(self) -> mnist_digits.Database:
        return mnist_digits.read(self.config.source, self.config.root, self.config.download)

    @cached_property
    def _splits(self) -> tuple[zoo.InMemory, zoo.InMemory, zoo.InMemory]:
        """Train, validation and test."""
        images, labels = self._database.train
        num_train = len(labels) - self.config.validation_size
        if num_train < 1:
            raise zoo.ZooError(
                f"dataset.validation_size is {self.config.validation_size}, but there are only {len(labels)} training "
                "digits.",
                f"Write for example `dataset.validation_size={len(labels) // 10}`.",
            )
        test = _examples(*self._database.test)
        validation = _examples(images[num_train:], labels[num_train:]) if self.config.validation_size else test
        return _examples(images[:num_train], labels[:num_train]), validation, test


def _examples(images: Tensor, labels: Tensor) -> zoo.InMemory:
    """Images (N, 28, 28) uint8 and labels (N,) as examples."""
    return zoo.InMemory(image=zoo.Uint8Images(images.unsqueeze(1)), label=labels)  # (N, 1, 28, 28), (N,)
