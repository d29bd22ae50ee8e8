"""Moving MNIST: digits that bounce in a square (Srivastava et al. 2015, section 3.2), made as they are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.paths import data_root
from zoo_plugins.datasets.sprites import Digits

CANONICAL = Path("MovingMNIST", "mnist_test_seq.npy")
_STEP = 0.1  # of the way from edge to edge, per frame
_TRAIN, _VALIDATION, _TEST = range(3)


class MovingMNIST(zoo.Dataset):
    """Clips as ``{"past": (N, frames_in, 1, size, size), "future": (N, frames_out, 1, size, size)}`` in [0, 1].

    Training clips are endless: clip k of a seed is the same in every run. They are made of the training digits but for
    the last twelfth, of which the validation clips are made; the test clips are made of the test digits. Where
    the published test set, ``MovingMNIST/mnist_test_seq.npy``, lies under the data root, that is measured on instead.

    Raises (from each method):
        zoo.ZooError: if the digits can't be read, or the published test set is damaged.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        frames_in: int = zoo.setting(10, "frames that are given", ge=1)
        frames_out: int = zoo.setting(10, "frames to be predicted", ge=1)
        digits: int = zoo.setting(2, "digits in a clip", ge=1)
        size: int = zoo.setting(64, "height and width of a frame, in pixels", ge=29)
        seed: int = zoo.setting(0, "another seed gives other training clips", ge=0)
        epoch_size: int = zoo.setting(10_000, "training clips that are called an epoch", ge=1)
        validation_clips: int = zoo.setting(1_000, "clips of held-out training digits", ge=1)
        test_clips: int = zoo.setting(10_000, "clips of test digits", ge=1)
        published: bool = zoo.setting(True, "measure on the published test set where it lies under the data root")
        source: Literal["auto", "full", "subset"] = zoo.setting("auto", "which digits, as of the data set 'mnist'")
        root: str | None = zoo.setting(None, "data root, as of the data set 'mnist'")
        download: bool = zoo.setting(True, "bring missing files from the network")

    config: Config

    def train(self) -> zoo.GeneratedExamples:
        clips = self._clips(self._digits.train[0], _TRAIN)
        return zoo.GeneratedExamples(clips, self.config.epoch_size, endless=True)

    def validation(self) -> zoo.GeneratedExamples:
        return zoo.GeneratedExamples(self._clips(self._digits.held_out[0], _VALIDATION), self.config.validation_clips)

    def test(self) -> zoo.GeneratedExamples:
        if self._published is not None:
            return zoo.GeneratedExamples(self._published, len(self._published))
        return zoo.GeneratedExamples(self._clips(self._digits.test[0], _TEST), self.config.test_clips)

    def fingerprint(self) -> str:
        """Of the digits, the settings that matter, and the test set: ``made-…`` or ``published-…``."""
        digest = self._digits.fingerprint(self.config)
        if self._published is not None:
            digest.update(self._published.sample())
        return f"{'made' if self._published is None else 'published'}-{digest.hexdigest()[:16]}"

    def _clips(self, digits: Tensor, stream: int) -> BouncingDigits:
        seed = self.config.seed if stream == _TRAIN else 0
        return BouncingDigits(digits.numpy(), self.config, (seed, stream))

    @cached_property
    def _digits(self) -> Digits:
        return Digits(self.config.source, self.config.root, self.config.download)

    @cached_property
    def _published(self) -> Published | None:
        config = self.config
        path = data_root(config.root) / CANONICAL
        fits = (config.frames_in + config.frames_out, config.size, config.digits) == (20, 64, 2)
        if not (config.published and fits and path.is_file()):
            return None
        warnings.warn(f"moving-mnist: measured on the published test set in {path}.", stacklevel=4)
        return Published(path, config.frames_in)


@dataclass
class BouncingDigits:
    """Makes clips of ``digits`` (N, 28, 28) uint8; clip k follows from ``key`` and k alone."""

    digits: NDArray[np.uint8]
    config: MovingMNIST.Config
    key: tuple[int, int]

    def __call__(self, numbers: Sequence[int]) -> zoo.Batch:
        drawn = [np.random.default_rng([*self.key, number]) for number in numbers]
        count = self.config.digits
        chosen = np.stack([random.integers(len(self.digits), size=count) for random in drawn])  # (N, digits)
        place = np.stack([random.random((count, 2)) for random in drawn])  # (N, digits, 2), in [0, 1)
        angle = np.stack([random.random(count) for random in drawn]) * 2 * np.pi
        corners = _trajectory(place, angle, self.config.frames_in + self.config.frames_out, self.config.size - 28)
        frames = self._draw(self.digits[chosen], corners)  # (N, T, size, size) uint8
        return _split(frames, self.config.frames_in)

    def _draw(self, pictures: NDArray[np.uint8], corners: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The brighter pixel wins where digits overlap."""
        clips, length, count, _ = corners.shape
        frames = np.zeros((clips * length, self.config.size, self.config.size), np.uint8)
        windows = sliding_window_view(frames, (28, 28), axis=(1, 2), writeable=True)
        number = np.arange(clips * length)
        for digit in range(count):
            y, x = corners[:, :, digit].reshape(-1, 2).T
            picture = np.repeat(pictures[:, digit], length, axis=0)
            windows[number, y, x] = np.maximum(windows[number, y, x], picture)
        return frames.reshape(clips, length, *frames.shape[1:])


class Published:
    """The published test set (20, 10000, 64, 64) uint8, read from the file as it is asked for."""

    def __init__(self, path: Path, frames_in: int) -> None:
        self.path, self.frames_in = path, frames_in
        self._open()

    def __len__(self) -> int:
        return int(self._open().shape[1])

    def __call__(self, numbers: Sequence[int]) -> zoo.Batch:
        frames = self._open()[:, list(numbers)].transpose(1, 0, 2, 3)
        return _split(frames, self.frames_in)

    def sample(self) -> bytes:
        return self._open()[:, ::1000].tobytes()

    def _open(self) -> NDArray[np.uint8]:
        try:
            frames: NDArray[Any] = np.lib.format.open_memmap(self.path, mode="r")
        except (OSError, ValueError, TokenError) as error:  # the last for a header that is no Python
            raise zoo.ZooError(f"{self.path} can't be read: {error}.", "Delete it, or bring it anew.") from error
        length, clips, *size = frames.shape if frames.ndim == 4 else (0, 0)
        if length != 20 or clips == 0 or size != [64, 64] or frames.dtype != np.uint8:
            raise zoo.ZooError(
                f"{self.path} holds {frames.dtype} {frames.shape}, but should hold uint8 (20, N, 64, 64).",
                "Delete it, or bring it anew.",
            )
        return frames


def _trajectory(place: NDArray[Any], angle: NDArray[Any], length: int, room: int) -> NDArray[np.int64]:
    """Upper left corners (N, T, digits, 2) in pixels; a digit that reaches an edge turns back there."""
    velocity = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    corners = []
    for _ in range(length):
        place = place + velocity * _STEP
        beyond = (place <= 0) | (place >= 1)
        place = place.clip(0, 1)
        velocity = np.where(beyond, -velocity, velocity)
        corners.append(place)
    return (room * np.stack(corners, axis=1)).astype(np.int64)


def _split(frames: NDArray[np.uint8], frames_in: int) -> zoo.Batch:
    clip = torch.from_numpy(np.ascontiguousarray(frames)).unsqueeze(2).float().div_(255)  # (N, T, 1, H, W)
    return zoo.Batch(past=clip[:, :frames_in], future=clip[:, frames_in:])
