"""The clips in a folder: sub-folders of images, animations, stacks, arrays and videos."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.class_folders import SPLITS
from zoo_plugins.datasets.own_files import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from zoo_plugins.datasets.sequences import are_sequences

ARRAY_SUFFIXES = (".npy", ".npz")
_CLIP_SUFFIXES = (".gif", ".apng", *ARRAY_SUFFIXES, *VIDEO_SUFFIXES)
_PERHAPS_CLIPS = (".png", ".webp", ".tif", ".tiff")  # if they have several frames or pages
_LOOKED_AT = 24  # files of a folder, and folders, that tell clips from pictures
_FEWEST_OF_NAME = 4  # frames of a name, of which a folder may have several
_PAGES = (".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Clip:
    """Consecutive frames, ``first`` to ``first + length``, of a folder of images or of a file."""

    path: Path
    length: int
    size: tuple[int, int]  # height, width
    files: tuple[Path, ...]
    index: int | None = None  # in a file of several clips
    first: int = 0


@dataclass(frozen=True)
class Found:
    """The clips of each split, or of "" if no splits are given; what their files contain, and what is left out."""

    splits: dict[str, list[Clip]]
    facts: dict[Path, zoo.ClipFacts]
    left_out: list[str] = field(default_factory=list)

    @property
    def clips(self) -> list[Clip]:
        return [clip for part in self.splits.values() for clip in part]


def find(folder: Path) -> Found:
    """The clips in ``folder``, in natural order. All files are read once.

    The folder may be one sequence of images itself, or contain ``train`` and ``test``.

    Raises:
        zoo.ZooError: if the folder or a file can't be read, or the frames of a clip differ in size.
    """
    try:
        given = _given_splits(folder)
        found = {split: _entries(below) for split, below in given.items()} or {"": _entries(folder)}
    except OSError as error:
        raise zoo.ZooError(
            f"dataset.folder is {folder}, which can't be read: {error.strerror}.", "Write `dataset.folder=FOLDER`."
        ) from error
    files = [file for entries in found.values() for part in entries.values() for file in part]
    facts = dict(zip(files, zoo.check_clips(files), strict=True))
    splits = {
        split: [
            clip
            for entry, part in entries.items()
            for clip in _clips(entry, {file: facts[file] for file in part}, entry == folder)
        ]
        for split, entries in found.items()
    }
    notes: list[str] = []
    for split, entries in found.items():
        notes += _left_out(given[split] if split else folder, entries)
    if given and (others := own_files.left_out(folder, given.values())):
        notes.append(f"left out beside the splits: {own_files.counted(others)}")
    return Found(splits, facts, notes)


def contains_clips(folder: Path) -> bool:
    """Whether the folder, or each of its splits, contains clips, and no separate pictures.

    Clips are files of several frames, and images that follow one another.
    """
    parts = list(_given_splits(folder).values()) or [folder]
    return all(_is_of_clips(part) for part in parts)


def _is_of_clips(folder: Path) -> bool:
    files = any(map(_is_clip_file, _some(folder)))
    images = []
    for below in _folders(folder)[:_LOOKED_AT]:
        looked_at = _some(below)
        clip_files = set(filter(_is_clip_file, looked_at))
        clips, inside = len(clip_files), [file for file in zoo.image_files(below) if file not in clip_files]
        files = files or (clips > 0 and 2 * clips >= len(looked_at))
        images += [inside] if 2 * clips < len(looked_at) else []
    if not files and not images and (own := zoo.image_files(folder)):
        images = [own]
    if files and len(images) == 1:  # one folder of images beside clips: classes would be several
        return True
    return are_sequences(images) if images else files


def _some(folder: Path) -> list[Path]:
    """The first files that may be images or clips; there may be very many."""
    suffixes = (*_CLIP_SUFFIXES, *_PERHAPS_CLIPS, ".jpg", ".jpeg", ".bmp")
    files = [entry for entry in own_files.visible(folder) if entry.suffix.lower() in suffixes and not entry.is_dir()]
    return sorted(files, key=zoo.natural_key)[:_LOOKED_AT]


def _given_splits(folder: Path) -> dict[str, Path]:
    """``train``, ``val`` and ``test`` below the folder, if each contains clips; else they are clips themselves."""
    named = {SPLITS[one.name.casefold()]: one for one in _folders(folder) if one.name.casefold() in SPLITS}
    contain = all(_folders(one) or any(map(_is_clip_file, _some(one))) for one in named.values())
    return named if "train" in named and len(named) > 1 and contain else {}


def _entries(folder: Path) -> dict[Path, list[Path]]:
    """The entries that may be clips, with the files of each."""
    folders = set(_folders(folder))
    entries = sorted(own_files.visible(folder), key=zoo.natural_key)
    found = {
        entry: _files_in(entry) if entry in folders else [entry]
        for entry in entries
        if entry in folders or (not entry.is_dir() and _may_be_clip(entry))
    }
    if not any(found.values()) and (images := zoo.image_files(folder)):
        return {folder: images}
    return found


def _folders(folder: Path) -> list[Path]:
    """The sub-folders; without links to folders that are here already, or that contain this one."""
    known = {folder.resolve(), *folder.resolve().parents}
    found = []
    for entry in sorted(own_files.visible(folder), key=lambda one: (one.is_symlink(), zoo.natural_key(one))):
        if entry.is_dir() and (resolved := entry.resolve()) not in known:
            known.add(resolved)
            found.append(entry)
    return sorted(found, key=zoo.natural_key)


def _may_be_clip(entry: Path) -> bool:
    """Whether a file beside the sub-folders is taken as a clip, by its name, or by the number of its frames."""
    suffix = entry.suffix.lower()
    return suffix in _CLIP_SUFFIXES or (suffix in _PERHAPS_CLIPS and _has_frames(entry))


def _is_clip_file(entry: Path) -> bool:
    """Whether a file contains a clip, or looks as if it did but can't be read."""
    suffix = entry.suffix.lower()
    if entry.is_dir() or suffix not in (*_CLIP_SUFFIXES, *_PERHAPS_CLIPS):
        return False
    if suffix in ARRAY_SUFFIXES:
        return not _is_image_array(entry)
    return suffix in (*VIDEO_SUFFIXES, ".apng") or _has_frames(entry)


def _has_frames(file: Path) -> bool:
    try:
        return zoo.clip_shape(file)[0] > 1
    except zoo.BadFile:  # a stack is refused when it is read; an image beside the sub-folders is left out
        return file.suffix.lower() in _PAGES


def _is_image_array(file: Path) -> bool:
    """Whether an array has the form (H, W) or (H, W, 3) of an image, not that of a clip."""
    try:
        zoo.clip_shape(file)
    except zoo.BadFile:
        try:
            zoo.read_image(file, 1)
        except zoo.BadFile:
            return False
        return True
    return False


def _files_in(folder: Path) -> list[Path]:
    """The images, animations, stacks, arrays and videos in a sub-folder."""
    suffixes = (*ARRAY_SUFFIXES, *VIDEO_SUFFIXES, ".apng", *_PAGES)
    others = [entry for entry in own_files.visible(folder) if entry.suffix.lower() in suffixes and not entry.is_dir()]
    images = zoo.image_files(folder)
    return images + sorted(set(others) - set(images), key=zoo.natural_key)


def _clips(entry: Path, facts: dict[Path, zoo.ClipFacts], itself: bool) -> list[Clip]:
    """The clips of an entry of the folder: a file, the images in a sub-folder together, or each other file in it."""
    if not entry.is_dir():
        return _clips_of_file(entry, facts[entry])
    always = (*ARRAY_SUFFIXES, *VIDEO_SUFFIXES)
    images = [file for file, one in facts.items() if one.frames == 1 and file.suffix.lower() not in always]
    clips = [clip for file, one in facts.items() if file not in images for clip in _clips_of_file(file, one)]
    if images and clips:
        raise zoo.BadFile(
            f"{entry} holds both an image, {images[0].name}, and a clip of its own, {clips[0].path.name}.",
            "Put the clip beside the sub-folder, or save its frames as images.",
        )
    if itself and len(images) < 2:
        return clips
    return _clips_of_images(entry, {file: facts[file] for file in images}) if images else clips


def _clips_of_file(file: Path, facts: zoo.ClipFacts) -> list[Clip]:
    indices = range(facts.clips) if facts.clips > 1 else [None]
    return [Clip(file, facts.frames, (facts.height, facts.width), (file,), index) for index in indices]


def _clips_of_images(folder: Path, facts: dict[Path, zoo.ClipFacts]) -> list[Clip]:
    """The clip of the images in a folder, or several, if their names differ in more than numbers: ``left_1.png``."""
    zoo.clip_shape(folder)  # refuses a folder with images that would be missing
    if unread := sorted(set(facts) - set(zoo.image_files(folder))):
        raise zoo.BadFile(
            f"{unread[0]} is one image, and images of this format are not read as the frames of a clip.",
            "Convert all frames to PNG, or save them in one file of several pages.",
        )
    (first, size), *others = ((file, (one.height, one.width)) for file, one in facts.items())
    for file, other in others:
        if other != size:
            raise zoo.BadFile(
                f"{file} is {other[0]} x {other[1]}, but the first frame, {first.name}, is {size[0]} x {size[1]}.",
                "All frames of a clip should have the same size.",
            )
    runs = [tuple(same) for _, same in groupby(facts, key=lambda file: re.sub(r"\d+", "#", file.stem))]
    if min(map(len, runs)) < _FEWEST_OF_NAME or len(runs) != len({re.sub(r"\d+", "#", run[0].stem) for run in runs}):
        runs = [tuple(facts)]
    starts = accumulate(map(len, runs[:-1]), initial=0)
    return [Clip(folder, len(run), size, run, first=first) for first, run in zip(starts, runs, strict=True)]


def _left_out(folder: Path, found: dict[Path, list[Path]]) -> list[str]:
    if list(found) == [folder]:
        rest = own_files.left_out(folder, found[folder])
        return [f"left out: {own_files.counted(rest)}"] if rest else []
    rest = own_files.left_out(folder, found)
    for entry, files in found.items():
        rest += own_files.left_out(entry, files) if entry.is_dir() else []
    beside = len(set(zoo.image_files(folder)) - set(found)) > 1
    how = "; images beside clips are the frames of one only in a folder of their own" if beside else ""
    notes = [f"left out: {own_files.counted(rest)}{how}"] if rest else []
    empty = [entry.name for entry, files in found.items() if not files]
    return notes + [f"{len(empty)} sub-folders contain no images or arrays ({own_files.listed(empty)})"] * bool(empty)


def contains_clips_below(folder: Path) -> bool:
    """Whether the sub-folders of a folder contain images or clips."""
    return any(_files_in(below) for below in _folders(folder))
