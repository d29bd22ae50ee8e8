"""The user's own clips: folders of pictures, GIF files or arrays, cut into windows of past and future frames."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets.splits import split

_CLIPS = (".gif", ".npy", ".npz")


class FrameFolder(zoo.Dataset):
    """Windows as ``{"past": (frames_in, C, H, W), "future": (frames_out, C, H, W)}`` in [0, 1].

    ``folder`` holds sequences: sub-folders of pictures in name order, GIF files, or ``.npy``/``.npz`` arrays (T, H, W)
    or (T, H, W, C). One sequence is wholly for training, for validation or for evaluation. Frames are read when a
    window is asked for, so that a data set may be larger than memory: give ``run.workers=4`` to read ahead.

    Raises (from each method):
        zoo.ZooError: if the folder can't be read, has too few sequences that are long enough, or a frame does not fit.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="where the sequences lie")
        frames_in: int = zoo.setting(20, "frames that are given", ge=1)
        frames_out: int = zoo.setting(20, "frames to be predicted", ge=1)
        stride: int = zoo.setting(1, "frames from the start of one window to the start of the next", ge=1)
        color: Literal["rgb", "gray"] = zoo.setting("rgb", "3 channels or 1")
        height: int = zoo.setting(0, "frames are scaled to this height; 0 leaves their size", ge=0)
        width: int = zoo.setting(0, "frames are scaled to this width; 0 leaves their size", ge=0)
        validation_fraction: float = zoo.setting(0.1, "share of the sequences, at least one", gt=0, lt=1)
        test_fraction: float = zoo.setting(0.1, "share of the sequences, at least one", gt=0, lt=1)
        split_seed: int = zoo.setting(0, "another seed deals the sequences out differently", ge=0)

    config: Config

    def train(self) -> Windows:
        return Windows(self._split[0], self.config)

    def validation(self) -> Windows:
        return Windows(self._split[1], self.config)

    def test(self) -> Windows:
        return Windows(self._split[2], self.config)

    def fingerprint(self) -> str:
        """Of the settings that matter and of every sequence's name, length and size in bytes; no frame is read."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "folder"}
        sequences = [(one.path.name, one.length, one.bytes) for part in self._split for one in part]
        return hashlib.sha256(json.dumps([settings, sequences]).encode()).hexdigest()[:16]

    @cached_property
    def _split(self) -> tuple[list[Clip], list[Clip], list[Clip]]:
        window = self.config.frames_in + self.config.frames_out
        folder = Path(self.config.folder).expanduser()
        found = find_clips(folder)
        long = [one for one in found if one.length >= window]
        if len(long) < 3:
            raise zoo.ZooError(
                f"{folder} has {len(found)} sequences, {len(long)} of them of at least {window} frames; it takes 3: "
                "one to train on, one to validate with, one to measure on.",
                "Put each sequence into a sub-folder, a GIF or an .npy file of its own, or lower dataset.frames_in.",
            )
        if len(long) < len(found):
            short = [one.path.name for one in found if one.length < window]
            warnings.warn(
                f"frame-folder: {len(short)} of {len(found)} sequences have fewer than {window} frames and are left "
                f"out: {', '.join(short[:5])}{', …' if len(short) > 5 else ''}.",
                stacklevel=4,
            )
        self._refuse_different_sizes(long)
        config = self.config
        return split(long, config.validation_fraction, config.test_fraction, config.split_seed)

    def _refuse_different_sizes(self, clips: list[Clip]) -> None:
        if self.config.height and self.config.width:
            return
        for clip in clips:
            if clip.size != clips[0].size:
                raise zoo.ZooError(
                    f"{clip.path} is {clip.size[0]} x {clip.size[1]}, but {clips[0].path.name} is "
                    f"{clips[0].size[0]} x {clips[0].size[1]}.",
                    "Write for example `dataset.height=128 dataset.width=128`: every frame is scaled to that.",
                )


@dataclass(frozen=True)
class Clip:
    """Frames that follow one another: a folder of pictures (``files``), or a file."""

    path: Path
    length: int
    size: tuple[int, int]
    bytes: int


class Windows:
    """Every window of every sequence; a map-style data set that reads files as it is asked."""

    def __init__(self, sequences: Sequence[Clip], config: FrameFolder.Config) -> None:
        self.config = config
        window = config.frames_in + config.frames_out
        self.places = [(one, start) for one in sequences for start in range(0, one.length - window + 1, config.stride)]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        clip, start = self.places[index]
        stop = start + self.config.frames_in + self.config.frames_out
        frames = self._scaled(zoo.read_frames(clip.path, 3 if self.config.color == "rgb" else 1, start, stop))
        return {"past": frames[: self.config.frames_in], "future": frames[self.config.frames_in :]}

    def _scaled(self, frames: Tensor) -> Tensor:
        size = (self.config.height or frames.shape[-2], self.config.width or frames.shape[-1])
        if size == tuple(frames.shape[-2:]):
            return frames
        return F.interpolate(frames, size, mode="bilinear", antialias=True).clamp(0, 1)


def find_clips(folder: Path) -> list[Clip]:
    """The clips in ``folder``, in name order.

    Raises:
        zoo.ZooError: if it can't be read, or a file in it can't.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise zoo.ZooError(
            f"dataset.folder is {folder}, which can't be read: {error.strerror}.", "Write `dataset.folder=FOLDER`."
        ) from error
    clips = [entry for entry in entries if entry.is_dir() or entry.suffix.lower() in _CLIPS]
    return [_clip(entry) for entry in clips]


def _clip(path: Path) -> Clip:
    length, height, width = zoo.clip_shape(path)
    files = zoo.image_files(path) if path.is_dir() else [path]
    return Clip(path, length, (height, width), sum(file.stat().st_size for file in files))
