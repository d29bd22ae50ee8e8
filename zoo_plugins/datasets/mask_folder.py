"""A folder of images and a folder of their segmentation masks, paired by file name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import zoo_core as zoo
from zoo_plugins.common.augmentation import RandomTransform
from zoo_plugins.common.image_size import target_size
from zoo_plugins.datasets import own_files
from zoo_plugins.datasets.class_files import ClassFiles
from zoo_plugins.datasets.mask_classes import IGNORE_INDEX
from zoo_plugins.datasets.mask_examples import Pairs, PairsOfSizes, channels, image_size
from zoo_plugins.datasets.mask_layouts import Layout, find_layout
from zoo_plugins.datasets.mask_pairs import Pair
from zoo_plugins.datasets.mask_readers import (
    Coding,
    CodingSettings,
    counts_of_classes,
    find_coding,
    with_settings,
)
from zoo_plugins.datasets.mask_sizes import refuse_other_size
from zoo_plugins.datasets.mask_stacks import file_of, is_part
from zoo_plugins.datasets.mask_table import ClassTable, find_table
from zoo_plugins.datasets.splits import split, split_the_rest

# Settings that were added later: at their defaults the fingerprint is the same as before.
_ADDED = {
    "images": "",
    "masks": "",
    "classes": "",
    "instances": "refuse",
    "overlap": "refuse",
    "crop_height": 0,
    "crop_width": 0,
    "augmentation": "none",
    "channels": 0,
    "shorter_side": 0,
}


class MaskFolder(zoo.Dataset):
    """Pairs as ``{"image": (C, H, W) in [0, 1], "mask": (H, W) int64}``; in the mask 255 is the ignore index.

    ``folder/images/NAME.*`` is an image and ``folder/masks/NAME.png`` its mask; `find_layout` finds other usual names,
    and splits that are given. The values, indices or colors of masks are the classes: those of the settings, of a file
    such as ``classes.csv``, or all that occur. All files are checked by the first call of a method, and read again on
    access. Images of several sizes are trained on in crops, and evaluated at their own sizes: a batch of them is padded
    and has ``"size"`` (N, 2), the height and width of each.

    Raises (from each method):
        zoo.ZooError: if the folder or a file can't be read, an image or a mask is missing, their sizes differ, or the
            classes of the masks are not clear. The message names the file.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        folder: str = zoo.setting(help="folder that contains images and masks")
        num_classes: int | None = zoo.setting(
            None, "number of classes; class indices start at 0; null: found in the masks", ge=2, le=255
        )
        ignore_index: int = zoo.setting(255, "pixel value in the mask files that is ignored", ge=0, le=255)
        class_values: tuple[int, ...] = zoo.setting(
            (), "pixel values of class 0, 1, … in the mask files, such as [0,255]; empty: the class indices"
        )
        classes: str | None = zoo.setting(
            "", "file in the folder that names the classes; empty: classes.csv, labelmap.txt, …, if any; null: none"
        )
        instances: Literal["refuse", "semantic"] = zoo.setting(
            "refuse", "semantic: the values of masks number objects, and every object is class 1"
        )
        overlap: Literal["refuse", "combine"] = zoo.setting(
            "refuse",
            "of masks that have a file or a plane for each class; combine: each combination of classes is a class",
        )
        images: str = zoo.setting("", "sub-folder of images; empty: found by its name")
        masks: str = zoo.setting("", "sub-folder of masks; empty: found by its name")
        color: Literal["rgb", "gray"] = zoo.setting("rgb", "3 channels or 1 channel")
        channels: int = zoo.setting(
            0, "number of channels of images that are neither gray nor RGB; 0: those of color", ge=0, le=256
        )
        max_value: int | None = zoo.setting(
            None, "value of white, such as 4095 for a 12-bit camera; null: 255, 65535 or 1.0", ge=1, le=4294967295
        )
        height: int = zoo.setting(0, "height that images and masks are resized to; 0 keeps their height", ge=0)
        width: int = zoo.setting(0, "width that images and masks are resized to; 0 keeps their width", ge=0)
        shorter_side: int = zoo.setting(
            0,
            "length that the shorter side of images and masks is resized to, keeping their aspect; 0: no resizing",
            ge=0,
        )
        crop_height: int = zoo.setting(0, "height of random crops for training; 0: no crops", ge=0)
        crop_width: int = zoo.setting(0, "width of random crops for training; 0: no crops", ge=0)
        augmentation: Literal["none", "flips", "photo", "upright", "microscopy"] = zoo.setting(
            "none",
            "random transforms of images and masks in training: flips both ways; of photos; of images with an upper "
            "side; of images that are alike whichever way they are turned",
        )
        validation_fraction: float = zoo.setting(0.1, "fraction of the pairs for validation, at least one", gt=0, lt=1)
        test_fraction: float = zoo.setting(0.1, "fraction of the pairs for the test, at least one", gt=0, lt=1)
        split_seed: int = zoo.setting(0, "seed of the random split", ge=0)

    config: Config

    def train(self) -> Pairs:
        return Pairs(self._split[0], self.config, self.coding.reader, _transform(self.config))

    def train_unaugmented(self) -> Pairs:
        return Pairs(self._split[0], self.config, self.coding.reader)

    def validation(self) -> Pairs:
        return self._evaluated(self._split[1])

    def test(self) -> Pairs:
        return self._evaluated(self._split[2])

    def _evaluated(self, part: Sequence[Pair]) -> Pairs:
        images = zoo.check_images([pair.image for pair in part], clips=False)
        sizes = {target_size(image_size(self.config), one.height, one.width) for one in images}
        kind = Pairs if len(sizes) == 1 else PairsOfSizes
        return kind(part, self.config, self.coding.reader)

    def provides(self) -> dict[str, Any]:
        known: dict[str, Any] = {"in_channels": channels(self.config)}
        if self.config.max_value is not None:
            known["max_value"] = self.config.max_value
        if image_size(self.config):
            known["image_size"] = image_size(self.config)
        if self.config.num_classes is not None and not self.config.classes:
            return known | {"num_classes": self.config.num_classes}
        _ = self._split  # checks all files
        names = {"class_names": self.coding.names} if self.coding.names else {}
        return known | {"num_classes": self.coding.num_classes} | names

    def fingerprint(self) -> str:
        """Hash of the settings, of what was found, and of the content of every file."""
        settings = {key: value for key, value in asdict(self.config).items() if key != "folder"}
        settings = {key: value for key, value in settings.items() if key not in _ADDED or value != _ADDED[key]}
        if self.coding.values:
            settings["values_found"] = list(self.coding.values)
        if "" not in self.layout.splits:
            settings["split_found"] = [len(part) for part in self._split]
        files = [file for part in self._split for pair in part for file in (pair.image, *pair.masks)]
        files = [file for file in files if not is_part(file)] + sorted(
            {file_of(file) for file in files if is_part(file)}
        )
        return zoo.fingerprint_files(files, settings, folder=self._folder)

    @property
    def _folder(self) -> Path:
        return Path(self.config.folder).expanduser()

    @cached_property
    def layout(self) -> Layout:
        """The pairs of the folder, as `find_layout` finds them."""
        found = find_layout(self._folder, self.config.images, self.config.masks)
        if self.config.overlap == "combine" and isinstance(found.annotated, ClassFiles):
            return replace(found, annotated=found.annotated.combined())
        return found

    @cached_property
    def _facts(self) -> Mapping[Path, zoo.MaskFacts]:
        if self.layout.annotated is not None:
            return self.layout.annotated.facts
        masks = [mask for pair in self.layout.pairs for mask in pair.masks]
        return dict(zip(masks, zoo.check_masks(masks, colors=True), strict=True))

    @cached_property
    def coding(self) -> Coding:
        """How the masks are read, and what is known of their classes."""
        config = self.config
        if self.layout.annotated is not None:
            return with_settings(self.layout.annotated.coding, config.num_classes, config.class_values)
        settings = CodingSettings(
            num_classes=config.num_classes,
            class_values=config.class_values,
            ignore_index=config.ignore_index,
            instances=config.instances,
            table=self._table(),
        )
        return find_coding(list(self._facts), list(self._facts.values()), settings)

    def _table(self) -> ClassTable | None:
        """The file that names the classes; one that is not set is not used if settings say the classes."""
        config = self.config
        if config.classes:
            return find_table(self._folder, config.classes)
        in_color = any(one.kind == "color" for one in self._facts.values())
        if config.class_values or config.instances == "semantic" or (config.num_classes is not None and not in_color):
            return None
        return find_table(self.layout.root, config.classes)

    def class_counts(self) -> list[int]:
        """The number of pixels of each class in the training split, at the size of the files."""
        return self._counts(self._split[0])

    def _counts(self, part: Sequence[Pair]) -> list[int]:
        return counts_of_classes(self.coding, [self._facts[mask] for pair in part for mask in pair.masks])

    @cached_property
    def _split(self) -> tuple[list[Pair], list[Pair], list[Pair]]:
        config, layout = self.config, self.layout
        if len(layout.pairs) < 3:
            left_out = f" ({'; '.join(layout.left_out)})" if layout.left_out else ""
            raise zoo.ZooError(
                f"{self._folder} contains {len(layout.pairs)} pair{'s' * (len(layout.pairs) != 1)} of image and mask, "
                f"but at least 3 are needed: for training, validation and test{left_out}.",
                own_files.how_to_convert(
                    layout.files_left_out,
                    "Put PNG or JPEG images into `images`, and PNG masks with the same names into `masks`.",
                ),
            )
        notes = ["; ".join(layout.left_out)] if layout.left_out else []
        notes += _check(layout.pairs, self._facts, config) + self.coding.notes
        fractions = (config.validation_fraction, config.test_fraction, config.split_seed)
        if "" in layout.splits:
            parts = split(layout.pairs, *fractions)
        else:
            given = {name: layout.splits.get(name, []) for name in ("train", "validation", "test")}
            parts, more = split_the_rest(given, *fractions)
            notes += more
        notes += self._untrained(parts)
        if notes:
            warnings.warn(f"mask-folder: {'; '.join(notes)}.", stacklevel=4)
        return parts

    def _untrained(self, parts: Sequence[Sequence[Pair]]) -> list[str]:
        """A note on classes that occur in no training image; if their number is given, only on those in others."""
        train, *others = (self._counts(part) for part in parts)
        names = self.coding.names or tuple(map(str, range(self.coding.num_classes)))
        unseen = [
            name
            for number, name in enumerate(names)
            if not train[number] and (self.coding.values or any(other[number] for other in others))
        ]
        if not unseen:
            return []
        return [f"class {own_files.listed(unseen)} occurs in no training image"]


def _check(pairs: Sequence[Pair], facts: Mapping[Path, zoo.MaskFacts], config: MaskFolder.Config) -> list[str]:
    """Read all images once; notes on what is converted.

    Raises:
        zoo.ZooError: if one of them can't be used with its masks; the message names it.
    """
    images = [pair.image for pair in pairs]
    image_facts = zoo.check_images(images, clips=False)
    if config.shorter_side and (config.height or config.width):
        raise zoo.BadSetting(
            "dataset.shorter_side keeps the aspect of images, but dataset.height or dataset.width is set as well.",
            "Leave one of them out.",
        )
    several_sizes = bool(config.crop_height and config.crop_width)
    first = image_facts[0]
    for pair, found in zip(pairs, image_facts, strict=True):
        image = pair.image
        if found.frames > 1:
            zoo.report_fault(
                zoo.BadFile(f"{image} holds {found.frames} frames, but should be one image.", "Give one frame.")
            )
        for mask in pair.masks:
            refuse_other_size(image, found, mask, facts[mask])
        sizes = [target_size(image_size(config), one.height, one.width) for one in (found, first)]
        if not several_sizes and sizes[0] != sizes[1]:
            error = zoo.ZooError(
                f"{image} is {found.height} x {found.width}, but {images[0].name} is {first.height} x {first.width}.",
                "Write for example `dataset.height=128 dataset.width=128` to resize all images and masks, or "
                "`dataset.crop_height=256 dataset.crop_width=256` to train on crops.",
            )
            zoo.report_fault(error)
    own_files.check_channels(images, image_facts, config.channels)
    notes = own_files.check_depth(images, image_facts, config.max_value)
    return notes + own_files.conversions(images, image_facts, channels(config))


def _transform(config: MaskFolder.Config) -> RandomTransform | None:
    if not (config.crop_height or config.crop_width or config.augmentation != "none"):
        return None
    return RandomTransform(config.augmentation, config.crop_height, config.crop_width, IGNORE_INDEX)
