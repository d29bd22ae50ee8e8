"""MNIST digits as sprites of composed images."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zoo_plugins.datasets.mnist import digits as mnist_digits

_VALIDATION_DIVISOR = 12  # the last 1/12 of the training digits is for validation: 5,000 of 60,000
_LOCATION_SETTINGS = ("source", "root", "download")  # where the digits are read from; not part of the fingerprint


class PerDevice:
    """A tensor of the host, copied once to each device that needs it."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._copies: dict[torch.device, Tensor] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return PerDevice, (self._tensor,)  # copies on an accelerator stay in their process

    def on(self, device: torch.device) -> Tensor:
        """The tensor on ``device``."""
        if device not in self._copies:
            self._copies[device] = self._tensor.to(device)
        return self._copies[device]


class DeviceSprites:
    """Sprites (N, 28, 28) uint8 that are drawn on an accelerator; sprite N is blank."""

    def __init__(self, sprites: NDArray[Any]) -> None:
        self._padded = PerDevice(functional.pad(torch.from_numpy(sprites), (1, 1, 1, 1, 0, 1)))  # (N + 1, 30, 30)

    def place(self, chosen: Tensor, corner: Tensor, height: int, width: int) -> Tensor:
        """Images (..., ``height``, ``width``), black but for sprite ``chosen`` (...) at ``corner`` (..., 2).

        ``chosen`` is broadcast to the shape of ``corner``.
        """
        padded = self._padded.on(corner.device)
        y, x = (self._inside(corner[..., axis, None], size) for axis, size in enumerate((height, width)))
        return padded[chosen[..., None, None], y[..., :, None], x[..., None, :]]

    def _inside(self, corner: Tensor, size: int) -> Tensor:
        """The row of the sprite at each of ``size`` pixels, in 0..29: 0 and 29 are the border around it."""
        return (torch.arange(1, size + 1, device=corner.device) - corner).clamp_(0, 29)


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
