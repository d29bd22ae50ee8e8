"""A folder of clips: folders of images, GIF files or arrays, cut into windows of past and future frames."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.splits import split

_ARRAY_SUFFIXES = (".npy", ".npz")
_CLIP_SUFFIXES = (".gif", ".apng", *_ARRAY_SUFFIXES)


class FrameFolder(zoo.Dataset):
    """Windows as ``{"past": (frames_in, C, H, W), "future": (frames_out, C, H, W)}`` in [0, 1].

    ``folder`` contains clips: sub-folders of images in the natural order of their names, GIF files, ``.npy``/``.npz``
    arrays (T, H, W) or (T, H, W, C), or sub-folders of such files. All windows of a clip are in the same split. All
    files are checked by the first call of a method. Frames are read on access, so the dataset may be larger than
    memory; ``run.workers=4`` reads ahead.

    Raises (from each method):
        zoo.ZooError: if the folder or a file can't be read, fewer than three clips are long enough, or frames differ in
            size.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="folder of the clips")
        frames_in: int = zoo.setting(20, "number of past frames", ge=1)
        frames_out: int = zoo.setting(20, "number of future frames", ge=1)
        stride: int = zoo.setting(1, "frames between the starts of consecutive windows", ge=1)
        color: Literal["rgb", "gray"] = zoo.setting("rgb", "3 channels or 1 channel")
        max_value: int | None = zoo.setting(
            None, "value of white in images of 16 bits, such as 4095 for a 12-bit camera; null: 65535", ge=1, le=65535
        )
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
        """Hash of the settings and of the content of every file."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "folder"}
        files = [file for part in self._split for clip in part for file in clip.files]
        return zoo.fingerprint_files(files, settings, folder=Path(self.config.folder).expanduser())

    @cached_property
    def _split(self) -> tuple[list[Clip], list[Clip], list[Clip]]:
        config = self.config
        window = config.frames_in + config.frames_out
        folder = Path(config.folder).expanduser()
        clips, notes = find_clips(folder, config)
        usable = [clip for clip in clips if clip.length >= window]
        if len(usable) < 3:
            raise zoo.ZooError(
                f"{folder} contains {len(clips)} clips, {len(usable)} of them with at least {window} frames, but at "
                f"least 3 such clips are needed: for training, validation and test{_in_brackets(notes)}.",
                self._how_to_find_more(folder, clips),
            )
        if notes:
            warnings.warn(f"frame-folder: {'; '.join(notes)}.", stacklevel=4)
        if len(usable) < len(clips):
            short = [clip.path.name for clip in clips if clip.length < window]
            warnings.warn(
                f"frame-folder: {len(short)} of {len(clips)} clips have fewer than {window} frames and are "
                f"skipped: {', '.join(short[:5])}{', …' if len(short) > 5 else ''}.",
                stacklevel=4,
            )
        self._check_sizes(usable)
        return split(usable, config.validation_fraction, config.test_fraction, config.split_seed)

    def _how_to_find_more(self, folder: Path, clips: list[Clip]) -> str:
        """What to do if there are too few clips."""
        used = {file for clip in clips for file in clip.files}
        entries = sorted(own_files.visible(folder), key=zoo.natural_key)
        for entry in entries:
            below = [one for one in own_files.visible(entry) if one.is_dir()] if entry.is_dir() else []
            if not clips and any(_files_in(one) for one in below):
                return f"The clips are one level deeper: write for example `dataset.folder={entry}`."
        inside = [one for entry in entries if entry.is_dir() for one in own_files.visible(entry)]
        return own_files.how_to_convert(
            [entry for entry in (*entries, *inside) if entry not in used],
            "Put each clip into its own sub-folder, GIF or .npy file, or reduce dataset.frames_in.",
        )

    def _check_sizes(self, clips: list[Clip]) -> None:
        if self.config.height and self.config.width:
            return
        for clip in clips:
            if clip.size != clips[0].size:
                error = zoo.ZooError(
                    f"{clip.path} is {clip.size[0]} x {clip.size[1]}, but {clips[0].path.name} is "
                    f"{clips[0].size[0]} x {clips[0].size[1]}.",
                    "Write for example `dataset.height=128 dataset.width=128` to resize all frames.",
                )
                zoo.report_fault(error)


@dataclass(frozen=True)
class Clip:
    """Consecutive frames: a folder of images, or a file."""

    path: Path
    length: int
    size: tuple[int, int]  # height, width
    files: tuple[Path, ...]


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
        white = self.config.max_value or own_files.MAX_16_BIT
        frames = zoo.read_frames(clip.path, _channels(self.config), start, stop, white)
        frames = self._resize(frames)  # (frames_in + frames_out, C, H, W)
        return {"past": frames[: self.config.frames_in], "future": frames[self.config.frames_in :]}

    def _resize(self, frames: Tensor) -> Tensor:
        size = (self.config.height or frames.shape[-2], self.config.width or frames.shape[-1])
        if size == tuple(frames.shape[-2:]):
            return frames
        return F.interpolate(frames, size, mode="bilinear", antialias=True).clamp(0, 1)


def find_clips(folder: Path, config: FrameFolder.Config) -> tuple[list[Clip], list[str]]:
    """The clips in ``folder``, in natural order, and notes on what is left out or converted. All files are read once.

    Raises:
        zoo.ZooError: if the folder or a file can't be read, or the frames of a clip differ in size.
    """
    try:
        entries = sorted(own_files.visible(folder), key=zoo.natural_key)
        found = {entry: _files_in(entry) if entry.is_dir() else [entry] for entry in entries if _may_be_clip(entry)}
    except OSError as error:
        raise zoo.ZooError(
            f"dataset.folder is {folder}, which can't be read: {error.strerror}.", "Write `dataset.folder=FOLDER`."
        ) from error
    files = [file for part in found.values() for file in part]
    facts = dict(zip(files, zoo.check_images(files), strict=True))
    clips = [clip for entry, part in found.items() for clip in _clips(entry, {file: facts[file] for file in part})]
    used = list(facts.values())
    own_files.check_depth(files, used, config.max_value)
    return clips, _left_out(folder, found) + own_files.conversions(files, used, _channels(config))


def _may_be_clip(entry: Path) -> bool:
    return entry.is_dir() or entry.suffix.lower() in _CLIP_SUFFIXES or _is_animated_png(entry)


def _is_animated_png(entry: Path) -> bool:
    if entry.suffix.lower() != ".png":
        return False
    try:
        return zoo.clip_shape(entry)[0] > 1
    except zoo.BadFile:  # it is left out, as an image outside a sub-folder is
        return False


def _files_in(folder: Path) -> list[Path]:
    """The images and arrays in a sub-folder."""
    arrays = [entry for entry in own_files.visible(folder) if entry.suffix.lower() in _ARRAY_SUFFIXES]
    return zoo.image_files(folder) + sorted(arrays, key=zoo.natural_key)


def _clips(entry: Path, facts: dict[Path, zoo.ImageFacts]) -> list[Clip]:
    """The clips of an entry of the folder: a file, the images in a sub-folder together, or each other file in it."""
    if not entry.is_dir():
        return [_clip_of_file(entry, facts[entry])]
    images = [file for file, one in facts.items() if one.frames == 1 and file.suffix.lower() not in _ARRAY_SUFFIXES]
    clips = [_clip_of_file(file, one) for file, one in facts.items() if file not in images]
    if images and clips:
        raise zoo.BadFile(
            f"{entry} holds both an image, {images[0].name}, and a clip of its own, {clips[0].path.name}.",
            "Put the clip beside the sub-folder, or save its frames as images.",
        )
    return [_clip_of_images(entry, {file: facts[file] for file in images})] if images else clips


def _clip_of_file(file: Path, facts: zoo.ImageFacts) -> Clip:
    return Clip(file, facts.frames, (facts.height, facts.width), (file,))


def _clip_of_images(folder: Path, facts: dict[Path, zoo.ImageFacts]) -> Clip:
    zoo.clip_shape(folder)  # refuses a folder with images that would be missing
    (first, size), *others = ((file, (one.height, one.width)) for file, one in facts.items())
    for file, other in others:
        if other != size:
            error = zoo.BadFile(
                f"{file} is {other[0]} x {other[1]}, but the first frame, {first.name}, is {size[0]} x {size[1]}.",
                "All frames of a clip should have the same size.",
            )
            zoo.report_fault(error)
    return Clip(folder, len(facts), size, tuple(facts))


def _left_out(folder: Path, found: dict[Path, list[Path]]) -> list[str]:
    rest = own_files.left_out(folder, found)
    for entry, files in found.items():
        rest += own_files.left_out(entry, files) if entry.is_dir() else []
    notes = [f"left out: {own_files.counted(rest)}"] if rest else []
    empty = [entry.name for entry, files in found.items() if not files]
    return notes + [f"{len(empty)} sub-folders contain no images or arrays ({own_files.listed(empty)})"] * bool(empty)


def _channels(config: FrameFolder.Config) -> int:
    return 3 if config.color == "rgb" else 1


def _in_brackets(notes: list[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""
