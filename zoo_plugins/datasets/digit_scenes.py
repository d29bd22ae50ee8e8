"""Digit scenes: a few digits somewhere in a picture, and the class of every pixel; like M2NIST, made as asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.sprites import Digits

_BRIGHT = 128  # from half the brightness on, a pixel belongs to the digit
_TRAIN, _VALIDATION, _TEST = range(3)


class DigitScenes(zoo.Dataset):
    """Scenes as ``{"image": (N, 1, H, W) in [0, 1], "mask": (N, H, W)}``: 0 is background, d + 1 the digit d.

    Each has one to ``digits`` digits, and a later one covers an earlier one. Training scenes are endless: scene k
    of a seed is the same in every run. Validation scenes are made of held-out training digits, test scenes of test
    digits.

    Raises (from each method):
        zoo.ZooError: if the digits can't be read.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        height: int = zoo.setting(64, "of a scene, in pixels", ge=28)
        width: int = zoo.setting(84, "of a scene, in pixels", ge=28)
        digits: int = zoo.setting(3, "most digits in a scene", ge=1)
        seed: int = zoo.setting(0, "another seed gives other training scenes", ge=0)
        epoch_size: int = zoo.setting(10_000, "training scenes that are called an epoch", ge=1)
        validation_scenes: int = zoo.setting(1_000, "scenes of held-out training digits", ge=1)
        test_scenes: int = zoo.setting(5_000, "scenes of test digits", ge=1)
        source: Literal["auto", "full", "subset"] = zoo.setting("auto", "which digits, as of the data set 'mnist'")
        root: str | None = zoo.setting(None, "data root, as of the data set 'mnist'")
        download: bool = zoo.setting(True, "bring missing files from the network")

    config: Config

    def train(self) -> zoo.GeneratedExamples:
        return zoo.GeneratedExamples(self._scenes(self._digits.train, _TRAIN), self.config.epoch_size, endless=True)

    def validation(self) -> zoo.GeneratedExamples:
        return zoo.GeneratedExamples(self._scenes(self._digits.held_out, _VALIDATION), self.config.validation_scenes)

    def test(self) -> zoo.GeneratedExamples:
        return zoo.GeneratedExamples(self._scenes(self._digits.test, _TEST), self.config.test_scenes)

    def fingerprint(self) -> str:
        """Of the digits and the settings that matter."""
        return str(self._digits.fingerprint(self.config).hexdigest()[:16])

    def _scenes(self, digits: tuple[Tensor, Tensor], stream: int) -> Scenes:
        pictures, labels = digits
        seed = self.config.seed if stream == _TRAIN else 0
        return Scenes(pictures.numpy(), labels.numpy(), self.config, (seed, stream))

    @cached_property
    def _digits(self) -> Digits:
        return Digits(self.config.source, self.config.root, self.config.download)


@dataclass
class Scenes:
    """Makes scenes of pictures (N, 28, 28) uint8 and their labels (N,); scene k follows from ``key`` and k alone."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    config: DigitScenes.Config
    key: tuple[int, int]

    def __call__(self, numbers: Sequence[int]) -> zoo.Batch:
        size = (len(numbers), self.config.height, self.config.width)
        image, mask = np.zeros(size, np.uint8), np.zeros(size, np.int64)
        for place, number in enumerate(numbers):
            self._draw(image[place], mask[place], np.random.default_rng([*self.key, number]))
        return zoo.Batch(
            image=torch.from_numpy(image).unsqueeze(1).float().div_(255),
            mask=torch.from_numpy(mask),
        )

    def _draw(self, image: NDArray[np.uint8], mask: NDArray[np.int64], random: np.random.Generator) -> None:
        for _ in range(random.integers(1, self.config.digits, endpoint=True)):
            chosen = random.integers(len(self.pictures))
            y = random.integers(self.config.height - 28, endpoint=True)
            x = random.integers(self.config.width - 28, endpoint=True)
            picture = self.pictures[chosen]
            covered = (slice(y, y + 28), slice(x, x + 28))
            bright = picture >= _BRIGHT
            image[covered] = np.where(bright, picture, np.maximum(image[covered], picture))
            mask[covered][bright] = self.labels[chosen] + 1
