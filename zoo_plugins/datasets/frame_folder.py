"""A folder of clips: folders of images, GIF files or arrays, cut into windows of past and future frames."""

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

_CLIP_SUFFIXES = (".gif", ".npy", ".npz")


class FrameFolder(zoo.Dataset):
    """Windows as ``{"past": (frames_in, C, H, W), "future": (frames_out, C, H, W)}`` in [0, 1].

    ``folder`` contains clips: sub-folders of images in the order of their names, GIF files, or ``.npy``/``.npz`` arrays
    (T, H, W) or (T, H, W, C). All windows of a clip are in the same split. Frames are read on access, so the dataset
    may be larger than memory; ``run.workers=4`` reads ahead.

    Raises (from each method):
        zoo.ZooError: if the folder can't be read, fewer than three clips are long enough, or frames differ in size.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="folder of the clips")
        frames_in: int = zoo.setting(20, "number of past frames", ge=1)
        frames_out: int = zoo.setting(20, "number of future frames", ge=1)
        stride: int = zoo.setting(1, "frames between the starts of consecutive windows", ge=1)
        color: Literal["rgb", "gray"] = zoo.setting("rgb", "3 channels or 1 channel")
        height: int = zoo.setting(0, "height that frames are resized to; 0 keeps their height", ge=0)
        width: int = zoo.setting(0, "width that frames are resized to; 0 keeps their width", ge=0)
        validation_fraction: float = zoo.setting(0.1, "fraction of the clips for validation, at least one", gt=0, lt=1)
        test_fraction: float = zoo.setting(0.1, "fraction of the clips for the test, at least one", gt=0, lt=1)
        split_seed: int = zoo.setting(0, "seed of the random split", ge=0)

    config: Config

    def train(self) -> Windows:
        return Windows(self._split[0], self.config)

    def validation(self) -> Windows:
        return Windows(self._split[1], self.config)

    def test(self) -> Windows:
        return Windows(self._split[2], self.config)

    def fingerprint(self) -> str:
        """Hash of the settings and of each clip's name, length and size in bytes. No frame is read."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "folder"}
        clips = [(clip.path.name, clip.length, clip.bytes) for part in self._split for clip in part]
        return hashlib.sha256(json.dumps([settings, clips]).encode()).hexdigest()[:16]

    @cached_property
    def _split(self) -> tuple[list[Clip], list[Clip], list[Clip]]:
        config = self.config
        window = config.frames_in + config.frames_out
        folder = Path(config.folder).expanduser()
        clips = find_clips(folder)
        usable = [clip for clip in clips if clip.length >= window]
        if len(usable) < 3:
            raise zoo.ZooError(
                f"{folder} contains {len(clips)} clips, {len(usable)} of them with at least {window} frames, but at "
                "least 3 such clips are needed: for training, validation and test.",
                "Put each clip into its own sub-folder, GIF or .npy file, or reduce dataset.frames_in.",
            )
        if len(usable) < len(clips):
            short = [clip.path.name for clip in clips if clip.length < window]
            warnings.warn(
                f"frame-folder: {len(short)} of {len(clips)} clips have fewer than {window} frames and are "
                f"skipped: {', '.join(short[:5])}{', …' if len(short) > 5 else ''}.",
                stacklevel=4,
            )
        self._check_sizes(usable)
        return split(usable, config.validation_fraction, config.test_fraction, config.split_seed)

    def _check_sizes(self, clips: list[Clip]) -> None:
        if self.config.height and self.config.width:
            return
        for clip in clips:
            if clip.size != clips[0].size:
                raise zoo.ZooError(
                    f"{clip.path} is {clip.size[0]} x {clip.size[1]}, but {clips[0].path.name} is "
                    f"{clips[0].size[0]} x {clips[0].size[1]}.",
                    "Write for example `dataset.height=128 dataset.width=128` to resize all frames.",
                )


@dataclass(frozen=True)
class Clip:
    """Consecutive frames: a folder of images, or a file."""

    path: Path
    length: int
    size: tuple[int, int]  # height, width
    bytes: int


class Windows:
    """All windows of ``clips``: a map-style dataset that reads frames on access."""

    def __init__(self, clips: Sequence[Clip], config: FrameFolder.Config) -> None:
        self.config = config
        window = config.frames_in + config.frames_out
        self.starts = [(clip, start) for clip in clips for start in range(0, clip.length - window + 1, config.stride)]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        clip, start = self.starts[index]
        stop = start + self.config.frames_in + self.config.frames_out
        channels = 3 if self.config.color == "rgb" else 1
        frames = self._resize(zoo.read_frames(clip.path, channels, start, stop))  # (frames_in + frames_out, C, H, W)
        return {"past": frames[: self.config.frames_in], "future": frames[self.config.frames_in :]}

    def _resize(self, frames: Tensor) -> Tensor:
        size = (self.config.height or frames.shape[-2], self.config.width or frames.shape[-1])
        if size == tuple(frames.shape[-2:]):
            return frames
        return F.interpolate(frames, size, mode="bilinear", antialias=True).clamp(0, 1)


def find_clips(folder: Path) -> list[Clip]:
    """The clips in ``folder``, sorted by name.

    Raises:
        zoo.ZooError: if the folder or a clip can't be read.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise zoo.ZooError(
            f"dataset.folder is {folder}, which can't be read: {error.strerror}.", "Write `dataset.folder=FOLDER`."
        ) from error
    return [_clip(entry) for entry in entries if entry.is_dir() or entry.suffix.lower() in _CLIP_SUFFIXES]


def _clip(path: Path) -> Clip:
    length, height, width = zoo.clip_shape(path)
    files = zoo.image_files(path) if path.is_dir() else [path]
    return Clip(path, length, (height, width), sum(file.stat().st_size for file in files))
