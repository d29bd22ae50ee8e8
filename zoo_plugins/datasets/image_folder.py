"""A folder of class folders: images for classification."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

import zoo_core as zoo
from zoo_plugins.datasets import class_folders, own_files, plain_images
from zoo_plugins.datasets.class_folders import Sample
from zoo_plugins.datasets.decoding import Decoded, ImageFiles, Reader
from zoo_plugins.datasets.same_content import same_content
from zoo_plugins.datasets.stratified import mixed, stratified_split

# Settings that were added later: at their defaults the fingerprint is the same as before.
_ADDED = {"channels": 0, "labels": "folders"}
_UNEVEN = 10  # times as many images of one class as of another
Splits = dict[str, list[Sample]]


class ImageFolder(zoo.Dataset):
    """Images with the index of their class: ``{"image": (C, H, W) in [0, 1], "label": ()}``.

    ``folder`` contains a folder for each class, ``folder/cat/1.png``; images in sub-folders of ``cat`` are of this
    class, too. Classes are numbered in the natural order of their names. The folder may contain given splits instead:
    ``train`` or ``training``, ``val``, ``valid`` or ``validation``, and ``test`` or ``testing``, each with class
    folders. A split that is not given is taken from the training images, at random but alike for each class; copies of
    an image are in the same split.

    With ``labels=none`` the examples have no label: the images may be anywhere in ``folder``. Given splits are used if
    there are no images beside them.

    Files are those that `zoo.read_image` reads: endings of `zoo.image_files`, and ``.npy``. All are checked by the
    first call of a method. What is left out or converted is said in a warning. Images of all splits are decoded once
    and kept in memory if they need at most ``cache_mb`` and a quarter of the free memory; otherwise they are read on
    access, and ``run.workers=4`` reads ahead. The examples are the same, bit for bit.

    Raises (from each method):
        zoo.ZooError: if a folder or a file can't be read, the layout is not clear, there are fewer than two classes, or
            the images differ in size and are not resized. The message names the file.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="folder that contains a folder of images for each class")
        labels: Literal["folders", "none"] = zoo.setting(
            "folders", "folders: each folder is a class; none: all images below the folder, without labels"
        )
        color: Literal["auto", "rgb", "gray"] = zoo.setting(
            "auto", "3 channels or 1 channel; auto: gray if all images are gray"
        )
        channels: int = zoo.setting(
            0, "number of channels of images that are neither gray nor RGB; 0: those of color", ge=0, le=256
        )
        max_value: int | None = zoo.setting(
            None, "value of white, such as 4095 for a 12-bit camera; null: 255, 65535 or 1.0", ge=1, le=4294967295
        )
        height: int = zoo.setting(0, "height that images are resized to; 0, as the width: all have one size", ge=0)
        width: int = zoo.setting(0, "width that images are resized to", ge=0)
        resize: Literal["crop", "squash"] = zoo.setting(
            "crop", "crop: resized with their aspect kept, and the center cropped; squash: the aspect changes"
        )
        validation_fraction: float = zoo.setting(0.1, "fraction of each class for validation", gt=0, lt=1)
        test_fraction: float = zoo.setting(0.1, "fraction of each class for the test", gt=0, lt=1)
        split_seed: int = zoo.setting(0, "seed of the random split", ge=0)
        cache_mb: int = zoo.setting(
            2048, "decoded images are kept in memory if they need at most this, in MiB; 0: read in each epoch", ge=0
        )

    config: Config

    def train(self) -> zoo.Examples:
        return self._examples["train"]

    def validation(self) -> zoo.Examples:
        return self._examples["validation"]

    def test(self) -> zoo.Examples:
        return self._examples["test"]

    def provides(self) -> dict[str, Any]:
        """The classes, if there are labels, the number of training images of each, and how a file becomes an image."""
        read = self._read
        classes = {
            "num_classes": len(read.class_names),
            "class_names": read.class_names,
            "class_counts": _numbers(read.splits["train"], len(read.class_names)),
        }
        provided = {
            **(classes if self._labeled else {}),
            "in_channels": read.decoded.shape[0],
            "height": read.decoded.shape[1],
            "width": read.decoded.shape[2],
            "resize": self.config.resize,
        }
        return provided if self.config.max_value is None else {**provided, "max_value": self.config.max_value}

    def fingerprint(self) -> str:
        """Hash of the settings and of the content of every file."""
        settings = {key: value for key, value in asdict(self.config).items() if key not in ("folder", "cache_mb")}
        settings = {key: value for key, value in settings.items() if key not in _ADDED or value != _ADDED[key]}
        files = [sample.path for split in self._read.splits.values() for sample in split]
        return zoo.fingerprint_files(files, settings, folder=self._folder)

    @property
    def _labeled(self) -> bool:
        return self.config.labels == "folders"

    @property
    def _folder(self) -> Path:
        return Path(self.config.folder).expanduser()

    @cached_property
    def _read(self) -> _Read:
        read, notes = _read(self._folder, self.config)
        if notes:
            warnings.warn(f"image-folder: {'; '.join(notes)}.", stacklevel=4)
        return read

    @cached_property
    def _examples(self) -> dict[str, zoo.Examples]:
        read = self._read
        reader = Reader(read.decoded.shape[0], self.config.max_value, *self._size, self.config.resize)
        if read.decoded.fits(sum(map(len, read.splits.values())), self.config.cache_mb * 2**20):
            return {
                split: read.decoded.decode(samples, reader, self._labeled) for split, samples in read.splits.items()
            }
        return {split: ImageFiles(samples, reader, self._labeled) for split, samples in read.splits.items()}

    @property
    def _size(self) -> tuple[int, int]:
        return self.config.height, self.config.width


@dataclass(frozen=True)
class _Read:
    splits: Splits
    class_names: list[str]
    decoded: Decoded


def _read(folder: Path, config: ImageFolder.Config) -> tuple[_Read, list[str]]:
    """The images of each split, and notes on what is left out or converted."""
    if bool(config.height) != bool(config.width):
        side = config.height or config.width
        raise zoo.BadSetting(
            f"dataset.height is {config.height} and dataset.width is {config.width}, but both or neither should be 0.",
            f"Write for example `dataset.height={side} dataset.width={side}`, or leave both out.",
        )
    found = class_folders.find(folder) if config.labels == "folders" else plain_images.find(folder)
    files = [sample.path for samples in found.splits.values() for sample in samples]
    decoded, conversions = _check(files, config)
    splits, copies = _split(found, config)
    return _Read(splits, found.class_names, decoded), [
        *found.notes,
        *conversions,
        *copies,
        *_rare(splits, found.class_names),
    ]


def _check(files: Sequence[Path], config: ImageFolder.Config) -> tuple[Decoded, list[str]]:
    """Read all files once: the form of the decoded images, and notes on what is converted.

    Raises:
        zoo.BadFile: if one of them can't be used; the message names it.
    """
    facts = zoo.check_images(files, clips=False)
    first = facts[0]
    for file, one in zip(files, facts, strict=True):
        if one.frames > 1:
            zoo.report_fault(
                zoo.BadFile(f"{file} holds {one.frames} frames, but should be one image.", "Give one frame.")
            )
        if not config.height and (one.height, one.width) != (first.height, first.width):
            error = zoo.ZooError(
                f"{file} is {one.height} x {one.width}, but {files[0]} is {first.height} x {first.width}.",
                "Write for example `dataset.height=128 dataset.width=128` to resize all images.",
            )
            zoo.report_fault(error)
    own_files.check_channels(files, facts, config.channels)
    notes = own_files.check_depth(files, facts, config.max_value)
    gray = all(one.channels == 1 for one in facts) if config.color == "auto" else config.color == "gray"
    shape = (config.channels or (1 if gray else 3), config.height or first.height, config.width or first.width)
    has_8_bits = all(_has_bytes(file, one, config.max_value) for file, one in zip(files, facts, strict=True))
    notes += own_files.conversions(files, facts, shape[0])
    return Decoded(shape, torch.uint8 if has_8_bits else torch.float32), notes


def _has_bytes(file: Path, facts: zoo.ImageFacts, max_value: int | None) -> bool:
    """Whether the values are multiples of 1/255 after reading."""
    return facts.dtype == "uint8" and file.suffix != ".npy" and (max_value is None or max_value >= 255)


def _split(found: class_folders.Found, config: ImageFolder.Config) -> tuple[Splits, list[str]]:
    """Train, validation and test, and notes on copies of one image, and on splits that are not given."""
    given = found.splits
    samples = [sample for part in given.values() for sample in part]
    split_of = [split for split, part in given.items() for _ in part]
    groups = same_content([sample.path for sample in samples])
    notes = _copies(samples, split_of, groups, found.class_names)
    source = "all" if "all" in given else "train"
    missing = [split for split in ("validation", "test") if split not in given]
    train, validation, test = stratified_split(
        samples,
        [kept for group in groups if (kept := [index for index in group if split_of[index] == source])],
        config.validation_fraction if "validation" in missing else 0,
        config.test_fraction if "test" in missing else 0,
        config.split_seed,
    )
    splits = {"train": train, "validation": validation, "test": test}
    splits |= {split: mixed(part, config.split_seed) for split, part in given.items() if split not in ("all", "train")}
    if empty := [split for split, part in splits.items() if not part]:
        of_class = "each class needs" if config.labels == "folders" else "it needs"
        raise zoo.ZooError(
            f"{config.folder} has too few images for the {' and '.join(empty)} split: "
            f"{'no class has' if config.labels == 'folders' else 'there are no'} 3 different ones.",
            f"Add images: {of_class} at least 3, one for each split.",
        )
    if source == "train" and missing:
        notes.append(f"the folder has no {' and no '.join(missing)} split, which is taken from the training images")
    return splits, notes


def _copies(
    samples: Sequence[Sample], split_of: Sequence[str], groups: Sequence[Sequence[int]], names: Sequence[str]
) -> list[str]:
    """Notes on images that are in several splits or classes."""
    keys = {"splits": split_of, "classes": [names[sample.label] for sample in samples]}
    notes = []
    for words, key in keys.items():
        several = [group for group in groups if len({key[index] for index in group}) > 1]
        if several:
            first, *others = several[0]
            other = next(index for index in others if key[index] != key[first])
            notes.append(
                f"{len(several)} image{'s are' if len(several) > 1 else ' is'} in several {words}: "
                f"{samples[first].path} and {samples[other].path} are the same"
            )
    return notes


def _rare(splits: Splits, names: Sequence[str]) -> list[str]:
    """Notes on classes that a split lacks, and on uneven ones.

    Raises:
        zoo.ZooError: if a class has no training image, since all of its images are also those of another class.
    """
    numbers = {split: _numbers(part, len(names)) for split, part in splits.items()}
    train = numbers["train"]
    if not all(train):
        name = names[train.index(0)]
        raise zoo.ZooError(
            f"all images of the class {name} are also in another class, so that none is left to train on.",
            f"Add images of {name}, or remove the class folder.",
        )
    lacking = {
        split: [name for name, number in zip(names, numbers[split], strict=True) if not number] for split in splits
    }
    notes = [f"the {split} split has no images of {own_files.listed(few)}" for split, few in lacking.items() if few]
    if max(train) >= _UNEVEN * min(train):
        rarest, most = train.index(min(train)), train.index(max(train))
        notes.append(
            f"the classes are uneven, from {train[rarest]} ({names[rarest]}) to {train[most]} ({names[most]}) training "
            "images; `trainer.class_weights=balanced` gives all classes the same weight"
        )
    return notes


def _numbers(samples: Sequence[Sample], num_classes: int) -> list[int]:
    """The number of samples of each class."""
    counts = Counter(sample.label for sample in samples)
    return [counts[label] for label in range(num_classes)]
