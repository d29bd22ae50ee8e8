"""Digit scenes: segmentation of a few digits at random positions, similar to M2NIST; generated on the fly."""

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

_FOREGROUND = 128  # a pixel belongs to a digit if its value is at least this
_TRAIN, _VALIDATION, _TEST = range(3)
_VERSION = 1  # of the generator; it is raised whenever the scenes of the same settings change


class DigitScenes(zoo.Dataset):
    """Scenes as ``{"image": (N, 1, H, W) in [0, 1], "mask": (N, H, W)}``: 0 is background, d + 1 is digit d.

    Each scene has 1 to ``max_digits`` digits; a later one covers an earlier one. Any number of training scenes can be
    generated; scene k of a seed is the same in every run. Training, validation and test scenes are composed of
    different digits.

    Raises (from each method):
        zoo.ZooError: if the digits can't be read.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        height: int = zoo.setting(64, "height of a scene in pixels", ge=28)
        width: int = zoo.setting(84, "width of a scene in pixels", ge=28)
        max_digits: int = zoo.setting(3, "maximum number of digits in a scene", ge=1)
        seed: int = zoo.setting(0, "seed of the training scenes", ge=0)
        epoch_size: int = zoo.setting(10_000, "training scenes per epoch", ge=1)
        validation_scenes: int = zoo.setting(1_000, "number of validation scenes", ge=1)
        test_scenes: int = zoo.setting(5_000, "number of test scenes", ge=1)
        source: Literal["auto", "full", "subset"] = zoo.setting("auto", "source of the digits, see dataset 'mnist'")
        root: str | None = zoo.setting(None, "data root, see dataset 'mnist'")
        download: bool = zoo.setting(True, "download missing files")

    config: Config

    def train(self) -> zoo.GeneratedExamples:
        return zoo.GeneratedExamples(self._scenes(self._digits.train, _TRAIN), self.config.epoch_size, endless=True)

    def validation(self) -> zoo.GeneratedExamples:
        scenes = self._scenes(self._digits.validation, _VALIDATION)
        return zoo.GeneratedExamples(scenes, self.config.validation_scenes)

    def test(self) -> zoo.GeneratedExamples:
        return zoo.GeneratedExamples(self._scenes(self._digits.test, _TEST), self.config.test_scenes)

    def fingerprint(self) -> str:
        """Hash of the digits, of the settings that affect the scenes, and of the version of the generator."""
        return self._digits.fingerprint(self.config, _VERSION)

    def _scenes(self, digits: tuple[Tensor, Tensor], stream: int) -> Scenes:
        images, labels = digits
        seed = self.config.seed if stream == _TRAIN else 0
        return Scenes(images.numpy(), labels.numpy(), self.config, (seed, stream))

    @cached_property
    def _digits(self) -> Digits:
        return Digits(self.config.source, self.config.root, self.config.download)


@dataclass
class Scenes:
    """Generates scenes of digits (N, 28, 28) uint8 with labels (N,); scene k depends on ``key`` and k only."""

    digits: NDArray[np.uint8]
    labels: NDArray[np.int64]
    config: DigitScenes.Config
    key: tuple[int, int]

    def __call__(self, indices: Sequence[int]) -> zoo.Batch:
        shape = (len(indices), self.config.height, self.config.width)
        image, mask = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)  # (N, H, W)
        for position, index in enumerate(indices):
            self._draw(image[position], mask[position], np.random.default_rng([*self.key, index]))
        return zoo.Batch(
            image=torch.from_numpy(image).unsqueeze(1).float().div_(255),  # (N, 1, H, W)
            mask=torch.from_numpy(mask),
        )

    def _draw(self, image: NDArray[np.uint8], mask: NDArray[np.int64], random: np.random.Generator) -> None:
        for _ in range(random.integers(1, self.config.max_digits, endpoint=True)):
            chosen = random.integers(len(self.digits))
            y = random.integers(self.config.height - 28, endpoint=True)
            x = random.integers(self.config.width - 28, endpoint=True)
            digit = self.digits[chosen]  # (28, 28)
            window = (slice(y, y + 28), slice(x, x + 28))
            foreground = digit >= _FOREGROUND
            image[window] = np.where(foreground, digit, np.maximum(image[window], digit))
            mask[window][foreground] = self.labels[chosen] + 1
