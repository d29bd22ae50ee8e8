"""A folder of clips: folders of images, animations, arrays or videos, cut into windows of past and future frames."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import zoo_core as zoo
from zoo_plugins.common.clip_transforms import RandomClipTransform
from zoo_plugins.datasets import clip_layouts, own_files
from zoo_plugins.datasets.clip_layouts import Clip, Found
from zoo_plugins.datasets.clip_windows import Reading, Windows, divided, kept_in_memory
from zoo_plugins.datasets.splits import split, split_the_rest

# Settings that were added later: at their defaults the fingerprint is the same as before.
_ADDED = {"split": "auto", "crop_height": 0, "crop_width": 0, "augmentation": "none", "evaluation_windows": 0}
_Parts = tuple[list[Clip], list[Clip], list[Clip]]


class FrameFolder(zoo.Dataset):
    """Windows as ``{"past": (frames_in, C, H, W), "future": (frames_out, C, H, W)}`` in [0, 1].

    ``folder`` contains clips: sub-folders of images in the natural order of their names, GIF, animated PNG and WebP
    files, TIFF files of several pages, ``.npy``/``.npz`` arrays (T, H, W), (T, H, W, C), (N, T, H, W) or (N, T, H, W,
    C), videos, or sub-folders of such files; or it is one sequence of images. ``train``, ``val`` and ``test`` below it
    are the splits. Without them, all windows of a clip are in the same split, or each clip is divided in time. All
    files are checked by the first call of a method. Frames are read on access, so the dataset may be larger than
    memory, unless ``cache_mb`` is sufficient for all; ``run.workers=4`` reads ahead.

    Raises (from each method):
        zoo.ZooError: if the folder or a file can't be read, there are too few clips that are long enough, or frames
            differ in size.
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
        validation_fraction: float = zoo.setting(
            0.1, "fraction of the clips, or of each, for validation, at least one clip, or one window", gt=0, lt=1
        )
        test_fraction: float = zoo.setting(
            0.1, "fraction of the clips, or of each, for the test, at least one clip, or one window", gt=0, lt=1
        )
        split_seed: int = zoo.setting(0, "seed of the random split of clips", ge=0)
        split: Literal["auto", "clips", "time"] = zoo.setting(
            "auto",
            "whole clips are in one split, or each clip is divided in time, with its end for the test; auto: in time "
            "if there are fewer than three clips",
        )
        crop_height: int = zoo.setting(0, "height of random crops for training; 0: the whole height", ge=0)
        crop_width: int = zoo.setting(0, "width of random crops for training; 0: the whole width", ge=0)
        augmentation: Literal["none", "mirror", "flips"] = zoo.setting(
            "none", "of the training windows: horizontal flips (mirror), or horizontal and vertical ones (flips)"
        )
        evaluation_windows: int = zoo.setting(
            0, "number of windows for validation, and for the test, evenly spaced; 0: all", ge=0
        )
        cache_mb: int = zoo.setting(
            0, "decoded frames are kept in memory if they need at most this, in MiB; 0: read on access", ge=0
        )

    config: Config

    def train(self) -> Windows:
        config = self.config
        crops = config.crop_height or config.crop_width or config.augmentation != "none"
        transform = RandomClipTransform(config.augmentation, config.crop_height, config.crop_width) if crops else None
        return self._windows(self._split[0], transform, 0)

    def validation(self) -> Windows:
        return self._windows(self._split[1], None, self.config.evaluation_windows)

    def test(self) -> Windows:
        return self._windows(self._split[2], None, self.config.evaluation_windows)

    def fingerprint(self) -> str:
        """Hash of the settings and of the content of every file."""
        settings = {key: value for key, value in asdict(self.config).items() if key not in ("folder", "cache_mb")}
        settings = {key: value for key, value in settings.items() if key not in _ADDED or value != _ADDED[key]}
        files = dict.fromkeys(file for part in self._split for clip in part for file in clip.files)
        if len(files) != sum(len(clip.files) for part in self._split for clip in part):
            settings["split_found"] = [[clip.first, clip.length] for part in self._split for clip in part]
        return zoo.fingerprint_files(list(files), settings, folder=self._folder)

    @property
    def _folder(self) -> Path:
        return Path(self.config.folder).expanduser()

    @property
    def _window(self) -> int:
        return self.config.frames_in + self.config.frames_out

    @cached_property
    def found(self) -> Found:
        """The clips, after all files were read once."""
        return clip_layouts.find(self._folder)

    def _windows(self, clips: list[Clip], transform: RandomClipTransform | None, most: int) -> Windows:
        config = self.config
        return Windows(
            clips, (config.frames_in, config.frames_out), config.stride, self._reading, transform, most
        )  # fmt: skip

    @cached_property
    def _reading(self) -> Reading:
        config = self.config
        whole = {(clip.path, clip.index): clip for clip in self.found.clips if clip.length >= self._window}
        kept = kept_in_memory(list(whole.values()), _channels(config), config.max_value, config.cache_mb * 2**20)
        return Reading(_channels(config), config.max_value, config.height, config.width, kept)

    @cached_property
    def _split(self) -> _Parts:
        config, found = self.config, self.found
        files, facts = list(found.facts), list(found.facts.values())
        notes = own_files.check_depth(files, facts, config.max_value)
        notes = found.left_out + notes + own_files.conversions(files, facts, _channels(config))
        usable = {name: [clip for clip in part if clip.length >= self._window] for name, part in found.splits.items()}
        all_usable = [clip for part in usable.values() for clip in part]
        parts, how = self._divided(usable)
        if not all(parts):
            raise self._too_few(all_usable, notes)
        notes += [how] if how else []
        if notes:
            warnings.warn(f"frame-folder: {'; '.join(notes)}.", stacklevel=4)
        short = [clip.path.name for clip in found.clips if clip.length < self._window]
        if short:
            warnings.warn(
                f"frame-folder: {len(short)} of {len(found.clips)} clips have fewer than {self._window} frames and are "
                f"skipped: {', '.join(short[:5])}{', …' if len(short) > 5 else ''}.",
                stacklevel=4,
            )
        self._check_sizes(all_usable)
        return parts

    def _divided(self, usable: dict[str, list[Clip]]) -> tuple[_Parts, str]:
        """The clips of each split, and a note on how they are divided, unless that is by clips or by request."""
        config = self.config
        fractions = (config.validation_fraction, config.test_fraction)
        given = {name: usable.get(name, []) for name in ("train", "validation", "test")}
        clips = usable.get("", given["train"])
        missing = [name for name in ("validation", "test") if not given[name]]
        too_few = len(clips) <= len(missing)
        if clips and missing and (config.split == "time" or (config.split == "auto" and too_few)):
            wanted = [part * (name in missing) for name, part in zip(("validation", "test"), fractions, strict=True)]
            train, validation, test = divided(clips, self._window, wanted[0], wanted[1])
            number = f"{len(clips)} clip{'s are' if len(clips) > 1 else ' is'}"
            note = "" if config.split == "time" else f"{number} divided in time, and the end is for the test"
            return (train, validation + given["validation"], test + given["test"]), note
        if too_few:
            return ([], [], []), ""
        if "" in usable:
            return split(clips, *fractions, config.split_seed), ""
        parts, notes = split_the_rest(given, *fractions, config.split_seed)
        return parts, "; ".join(notes)

    def _too_few(self, usable: list[Clip], notes: list[str]) -> zoo.ZooError:
        folder, clips, window = self._folder, self.found.clips, self._window
        longest = max((clip.length for clip in usable), default=0)
        of_one = f", or one of {3 * window} frames" if self.config.split != "clips" else ""
        return zoo.ZooError(
            f"{folder} contains {len(clips)} clips, {len(usable)} of them with at least {window} frames, but at "
            f"least 3 such clips are needed: for training, validation and test{of_one}{_in_brackets(notes)}.",
            f"Reduce dataset.frames_in and dataset.frames_out: {longest} frames can be divided into three windows of "
            f"{longest // 3}."
            if longest >= 3 * 2 and self.config.split != "clips"
            else self._how_to_find_more(folder, clips),
        )

    def _how_to_find_more(self, folder: Path, clips: list[Clip]) -> str:
        """What to do if there are too few clips."""
        used = {file for clip in clips for file in clip.files}
        entries = sorted(own_files.visible(folder), key=zoo.natural_key)
        for entry in entries:
            if not clips and entry.is_dir() and clip_layouts.contains_clips_below(entry):
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


def _channels(config: FrameFolder.Config) -> int:
    return 3 if config.color == "rgb" else 1


def _in_brackets(notes: list[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""
