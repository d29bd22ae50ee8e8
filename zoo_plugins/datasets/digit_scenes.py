"""Digit scenes: segmentation of a few digits at random positions, similar to M2NIST; generated on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.sprites import DeviceSprites, Digits, PerDevice

_CLASS_NAMES = ("background", *map(str, range(10)))
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
        return self._scenes(self._digits.train, _TRAIN, self.config.epoch_size, endless=True)

    def validation(self) -> zoo.GeneratedExamples:
        return self._scenes(self._digits.validation, _VALIDATION, self.config.validation_scenes)

    def test(self) -> zoo.GeneratedExamples:
        return self._scenes(self._digits.test, _TEST, self.config.test_scenes)

    def provides(self) -> dict[str, Any]:
        return {"num_classes": len(_CLASS_NAMES), "class_names": _CLASS_NAMES, "in_channels": 1}

    def fingerprint(self) -> str:
        """Hash of the digits, of the settings that affect the scenes, and of the version of the generator."""
        return self._digits.fingerprint(self.config, _VERSION)

    def _scenes(
        self, digits: tuple[Tensor, Tensor], stream: int, length: int, endless: bool = False
    ) -> zoo.GeneratedExamples:
        images, labels = digits
        seed = self.config.seed if stream == _TRAIN else 0
        scenes = Scenes(images.numpy(), labels.numpy(), self.config, (seed, stream))
        return zoo.GeneratedExamples(scenes.draw, length, endless, render=scenes.render)

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

    def __post_init__(self) -> None:
        self._sprites = DeviceSprites(self.digits)
        self._classes = PerDevice(torch.from_numpy(np.append(self.labels + 1, 0)))  # the last is that of no digit

    def draw(self, indices: Sequence[int]) -> zoo.Batch:
        """The digits (N, max_digits) of each scene, and their ``corner`` (N, max_digits, 2).

        A scene with fewer digits has the number of all digits, which is blank, in the place of the others.
        """
        chosen = np.full((len(indices), self.config.max_digits), len(self.digits))
        corner = np.zeros((*chosen.shape, 2), np.int64)
        for position, index in enumerate(indices):
            random = np.random.default_rng([*self.key, index])
            for number in range(random.integers(1, self.config.max_digits, endpoint=True)):
                chosen[position, number] = random.integers(len(self.digits))
                corner[position, number, 0] = random.integers(self.config.height - 28, endpoint=True)
                corner[position, number, 1] = random.integers(self.config.width - 28, endpoint=True)
        return zoo.Batch(digit=torch.from_numpy(chosen), corner=torch.from_numpy(corner))

    def render(self, drawn: zoo.Batch) -> zoo.Batch:
        """The scenes."""
        chosen, corner = drawn["digit"], drawn["corner"]
        draw = self.draw_on_host if corner.device.type == "cpu" else self.draw_on_device
        image, mask = draw(chosen, corner)
        return zoo.Batch(image=zoo.Uint8Images(image)[:].unsqueeze(1), mask=mask)  # image (N, 1, H, W)

    def draw_on_host(self, chosen: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
        """Images uint8 and masks int64, each (N, H, W)."""
        shape = (len(chosen), self.config.height, self.config.width)
        images, masks = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)
        for image, mask, digits, corners in zip(images, masks, chosen.tolist(), corner.tolist(), strict=True):
            for number, (y, x) in zip(digits, corners, strict=True):
                if number == len(self.digits):
                    break
                digit = self.digits[number]  # (28, 28)
                window = (slice(y, y + 28), slice(x, x + 28))
                foreground = digit >= _FOREGROUND
                image[window] = np.where(foreground, digit, np.maximum(image[window], digit))
                mask[window][foreground] = self.labels[number] + 1
        return torch.from_numpy(images), torch.from_numpy(masks)

    def draw_on_device(self, chosen: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`draw_on_host`, on an accelerator; on a CPU this takes longer."""
        digits = self._sprites.place(chosen, corner, self.config.height, self.config.width)  # (N, max_digits, H, W)
        classes = self._classes.on(chosen.device)[chosen][..., None, None]  # (N, max_digits, 1, 1)
        image = torch.zeros_like(digits[:, 0])  # (N, H, W)
        mask = torch.zeros_like(image, dtype=torch.int64)
        for number in range(self.config.max_digits):
            digit = digits[:, number]
            foreground = digit >= _FOREGROUND
            image = torch.where(foreground, digit, torch.maximum(image, digit))
            mask = torch.where(foreground, classes[:, number], mask)
        return image, mask
