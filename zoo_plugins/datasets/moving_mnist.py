"""Moving MNIST: digits that bounce in a square (Srivastava et al. 2015, section 3.2); generated on the fly."""

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
from zoo_plugins.datasets.sprites import DeviceSprites, Digits

TEST_SET_PATH = Path("MovingMNIST", "mnist_test_seq.npy")
_SPEED = 0.1  # distance per frame, as a fraction of the distance between the edges
_TRAIN, _VALIDATION, _TEST = range(3)
_VERSION = 1  # of the generator; it is raised whenever the clips of the same settings change


class MovingMNIST(zoo.Dataset):
    """Clips as ``{"past": (N, frames_in, 1, size, size), "future": (N, frames_out, 1, size, size)}`` in [0, 1].

    Any number of training clips can be generated; clip k of a seed is the same in every run. Training, validation and
    test clips are composed of different digits; those of the validation clips are the last twelfth of MNIST's training
    digits. If the published test set ``MovingMNIST/mnist_test_seq.npy`` exists below the data root, it is the test
    split.

    Raises (from each method):
        zoo.ZooError: if the digits can't be read, or the published test set is damaged.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        frames_in: int = zoo.setting(10, "number of past frames", ge=1)
        frames_out: int = zoo.setting(10, "number of future frames", ge=1)
        num_digits: int = zoo.setting(2, "number of digits in a clip", ge=1)
        size: int = zoo.setting(64, "height and width of a frame in pixels", ge=29)
        seed: int = zoo.setting(0, "seed of the training clips", ge=0)
        epoch_size: int = zoo.setting(10_000, "training clips per epoch", ge=1)
        validation_clips: int = zoo.setting(1_000, "number of validation clips", ge=1)
        test_clips: int = zoo.setting(10_000, "number of test clips, if generated", ge=1)
        use_published_test_set: bool = zoo.setting(True, "test on the published test set if it is below the data root")
        source: Literal["auto", "full", "subset"] = zoo.setting("auto", "source of the digits, see dataset 'mnist'")
        root: str | None = zoo.setting(None, "data root, see dataset 'mnist'")
        download: bool = zoo.setting(True, "download missing files")

    config: Config

    def train(self) -> zoo.GeneratedExamples:
        return self._clips(self._digits.train[0], _TRAIN, self.config.epoch_size, endless=True)

    def validation(self) -> zoo.GeneratedExamples:
        return self._clips(self._digits.validation[0], _VALIDATION, self.config.validation_clips)

    def test(self) -> zoo.GeneratedExamples:
        published = self._published_test_set
        if published is not None:
            return zoo.GeneratedExamples(published.read, len(published), render=published.render)
        return self._clips(self._digits.test[0], _TEST, self.config.test_clips)

    def fingerprint(self) -> str:
        """Hash of the digits, the settings that affect the clips, the generator's version, and the published clips."""
        published = self._published_test_set
        test_set = None if published is None else zoo.fingerprint_files([published.path], {})
        return self._digits.fingerprint(self.config, _VERSION, test_set=test_set)

    def _clips(self, digits: Tensor, stream: int, length: int, endless: bool = False) -> zoo.GeneratedExamples:
        seed = self.config.seed if stream == _TRAIN else 0
        clips = BouncingDigits(digits.numpy(), self.config, (seed, stream))
        return zoo.GeneratedExamples(clips.draw, length, endless, render=clips.render)

    @cached_property
    def _digits(self) -> Digits:
        return Digits(self.config.source, self.config.root, self.config.download)

    @cached_property
    def _published_test_set(self) -> PublishedTestSet | None:
        config = self.config
        path = data_root(config.root) / TEST_SET_PATH
        matches = (config.frames_in + config.frames_out, config.size, config.num_digits) == (20, 64, 2)
        if not (config.use_published_test_set and matches and path.is_file()):
            return None
        warnings.warn(f"moving-mnist: the test split is the published test set in {path}.", stacklevel=4)
        return PublishedTestSet(path, config.frames_in)


@dataclass
class BouncingDigits:
    """Generates clips of ``digits`` (N, 28, 28) uint8; clip k depends on ``key`` and k only."""

    digits: NDArray[np.uint8]
    config: MovingMNIST.Config
    key: tuple[int, int]

    def __post_init__(self) -> None:
        self._sprites = DeviceSprites(self.digits)

    def draw(self, indices: Sequence[int]) -> zoo.Batch:
        """The digits (N, digits) of each clip, and their ``corner`` (N, T, digits, 2) in each frame."""
        generators = [np.random.default_rng([*self.key, index]) for index in indices]
        count = self.config.num_digits
        chosen = np.stack([random.integers(len(self.digits), size=count) for random in generators])  # (N, digits)
        position = np.stack([random.random((count, 2)) for random in generators])  # (N, digits, 2) in [0, 1)
        angle = np.stack([random.random(count) for random in generators]) * 2 * np.pi  # (N, digits)
        length = self.config.frames_in + self.config.frames_out
        corners = _trajectories(position, angle, length, self.config.size - 28)  # (N, T, digits, 2)
        return zoo.Batch(digit=torch.from_numpy(chosen), corner=torch.from_numpy(corners))

    def render(self, drawn: zoo.Batch) -> zoo.Batch:
        """The clips; the pixel maximum where digits overlap."""
        chosen, corner = drawn["digit"], drawn["corner"]
        if corner.device.type == "cpu":
            frames = torch.from_numpy(self._draw(self.digits[chosen.numpy()], corner.numpy()))
        else:
            frames = self.draw_on_device(chosen, corner)
        return _split_clips(frames, self.config.frames_in)

    def draw_on_device(self, chosen: Tensor, corner: Tensor) -> Tensor:
        """The frames (N, T, size, size) uint8 on an accelerator; on a CPU this takes longer."""
        return self._sprites.place(chosen[:, None], corner, self.config.size, self.config.size).amax(2)

    def _draw(self, digits: NDArray[np.uint8], corners: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Digits (N, digits, 28, 28) at ``corners`` (N, T, digits, 2); the pixel maximum where digits overlap."""
        clips, length, count, _ = corners.shape
        frames = np.zeros((clips * length, self.config.size, self.config.size), np.uint8)
        windows = sliding_window_view(
            frames, (28, 28), axis=(1, 2), writeable=True
        )  # (N T, size - 27, size - 27, 28, 28)
        index = np.arange(clips * length)
        for number in range(count):
            y, x = corners[:, :, number].reshape(-1, 2).T  # each (N T,)
            digit = np.repeat(digits[:, number], length, axis=0)  # (N T, 28, 28)
            windows[index, y, x] = np.maximum(windows[index, y, x], digit)
        return frames.reshape(clips, length, *frames.shape[1:])  # (N, T, size, size)


class PublishedTestSet:
    """The published test set (20, 10000, 64, 64) uint8, memory-mapped."""

    def __init__(self, path: Path, frames_in: int) -> None:
        self.path, self.frames_in = path, frames_in
        self._open()

    def __len__(self) -> int:
        return int(self._open().shape[1])

    def read(self, indices: Sequence[int]) -> zoo.Batch:
        """The frames (N, 20, 64, 64) of clips, uint8."""
        frames = self._open()[:, list(indices)].transpose(1, 0, 2, 3)  # from (20, N, 64, 64)
        return zoo.Batch(frames=torch.from_numpy(np.ascontiguousarray(frames)))

    def render(self, read: zoo.Batch) -> zoo.Batch:
        """The clips of these frames."""
        return _split_clips(read["frames"], self.frames_in)

    def _open(self) -> NDArray[np.uint8]:
        try:
            frames: NDArray[Any] = np.lib.format.open_memmap(self.path, mode="r")
        except (OSError, ValueError, TokenError) as error:  # TokenError: the header is not a Python literal
            raise zoo.ZooError(f"{self.path} can't be read: {error}.", "Delete it or download it again.") from error
        length, clips, *size = frames.shape if frames.ndim == 4 else (0, 0)
        if length != 20 or clips == 0 or size != [64, 64] or frames.dtype != np.uint8:
            raise zoo.ZooError(
                f"{self.path} contains {frames.dtype} {frames.shape}, but should contain uint8 (20, N, 64, 64).",
                "Delete it or download it again.",
            )
        return frames


def _trajectories(position: NDArray[Any], angle: NDArray[Any], length: int, limit: int) -> NDArray[np.int64]:
    """Upper left corners (N, T, digits, 2) in 0..``limit`` pixels; digits are reflected at the edges."""
    velocity = np.stack([np.sin(angle), np.cos(angle)], axis=-1)  # (N, digits, 2)
    corners = []
    for _ in range(length):
        position = position + velocity * _SPEED
        reflected = (position <= 0) | (position >= 1)
        position = position.clip(0, 1)
        velocity = np.where(reflected, -velocity, velocity)
        corners.append(position)
    return (limit * np.stack(corners, axis=1)).astype(np.int64)


def _split_clips(frames: Tensor, frames_in: int) -> zoo.Batch:
    clip = zoo.Uint8Images(frames)[:].unsqueeze(2)  # (N, T, 1, H, W)
    return zoo.Batch(past=clip[:, :frames_in], future=clip[:, frames_in:])
