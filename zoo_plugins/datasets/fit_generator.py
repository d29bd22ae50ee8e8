"""What ``zoo fit`` plans for images without labels, or for class folders with ``--task generate``: a GAN."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import zoo_core as zoo
from zoo_plugins.datasets import own_files, plain_images, white
from zoo_plugins.datasets.class_folders import read_tree
from zoo_plugins.datasets.fit_sizes import describe_classes, describe_sizes, describe_values, rounded
from zoo_plugins.datasets.image_folder import ImageFolder
from zoo_plugins.datasets.mask_layouts import has_masks
from zoo_plugins.datasets.sequences import are_sequences

MOST_VALUES = 4800  # of an image, such as 40 x 40 in color or 69 x 69 in gray
_MULTIPLE = 4  # of the sides
_SMALLEST = 4  # pixels of a side
_FEWEST = 16  # training images
_GROUP = 4  # images of one label, whose standard deviation the discriminator sees
_LARGEST_BATCH = 64
_PHOTO = 24  # pixels of the sides of color images that are probably photos


@dataclass(frozen=True)
class Facts:
    """What is in the images of a folder."""

    dataset: dict[str, Any]
    """The settings of the data set that the files need."""
    median_size: tuple[int, int]
    shape: tuple[int, int, int]
    """Channels, height and width in the plan."""
    counts: list[int]
    """Training images of each class; of all, if there are no classes."""


class GenerateImages(zoo.Task):
    """Generation of images like those in a folder: of each class, if it has class folders."""

    fallback: ClassVar[bool] = True

    def find(self, folder: Path) -> zoo.Finding | None:
        if has_masks(folder, self.given):
            raise zoo.ZooError(
                f"{folder} contains images with masks, which are no images to generate.",
                f"Give the folder of the images alone, or write `zoo fit {folder} --task segment`.",
            )
        labeled = _has_classes(folder)
        if not labeled and not _has_files(folder):
            return None
        files = [sample.path for split in plain_images.find(folder).splits.values() for sample in split]
        images = zoo.check_images(files, clips=False)
        sizes = [(one.height, one.width) for one in images]
        given = {name: value for name, value in self.given.get("dataset", {}).items() if name != "name"}
        reading = {} if "max_value" in given else white.planned(files, images)
        settings = {**_settings(images, sizes, labeled, reading.get("channels")), **reading}
        provided, notes = _provided(folder, {**settings, **given})
        counts = list(provided["class_counts"]) if labeled else [provided["train"]]
        names = list(provided["class_names"]) if labeled else []
        doubt = _annotated(folder, files)
        if not doubt:
            _check(folder, files, sizes, names, counts)
        median_size = _median(sizes)
        details = [f"{describe_sizes(sizes)} pixels, {describe_values(images, reading)}"]
        shares = [f"{name} {count:,}" for name, count in zip(names, counts, strict=True)] if labeled else []
        details.append(f"training images: {describe_classes(shares) if labeled else f'{counts[0]:,}'}")
        details += _remarks(files, sizes, settings)
        summary = f"{len(images):,} images of {len(names)} classes" if labeled else f"{len(images):,} images"
        shape = provided["in_channels"], provided["height"], provided["width"]
        facts = Facts(settings, median_size, shape, counts)
        return zoo.Finding(summary, (*details, *notes), (), facts, doubt=doubt)

    def plan(self, folder: Path, finding: zoo.Finding, budget: zoo.Budget) -> zoo.Plan:
        facts: Facts = finding.facts
        labeled = facts.dataset["labels"] == "folders"
        groups = sum(count // _GROUP for count in facts.counts)
        batch = _GROUP * max(1, min(_LARGEST_BATCH // _GROUP, groups // 2))
        dataset = {"name": "image-folder", "folder": str(folder.resolve()), **facts.dataset}
        median_size = " x ".join(map(str, facts.median_size))
        smooth = {"smoothing": 1} if facts.shape[0] == 3 and min(facts.shape[1:]) >= _PHOTO else {}
        return zoo.Plan(
            {
                "model": {
                    "name": "clsgan",
                    "conditional": labeled,
                    **smooth,
                    "sigmoid": False,
                    "normalize_input": True,
                    "minibatch_std_group_size": _GROUP,
                    "minibatch_std_scale": 10.0,
                },
                "dataset": dataset,
                "trainer": {
                    "name": "clsgan",
                    "evaluation": "pixels",
                    "l1_weight": 0.0,
                    "generator_learning_rate": 1.4e-4,
                    "discriminator_learning_rate": 5.6e-4,
                    "betas": [0.0, 0.99],
                    "weight_decay": 0.0,
                    "lr_decay_start": 0.5,
                    "ada_target": 0.21,
                    "same_label_group_size": _GROUP if labeled else 1,
                },
                "run": {"batch_size": batch, "ema_decay": 0.999},
            },
            {
                "model.conditional": "an image is generated for a class" if labeled else "there are no classes",
                "model.smoothing": "photos: no noise between neighboring pixels, but no fine details either",
                "model.minibatch_std_group_size": "the discriminator sees how much images differ",
                "dataset.labels": "each folder is a class"
                if labeled
                else "all images, wherever they are in the folder",
                "dataset.color": "gray if all images are gray",
                "dataset.height": f"the median is {median_size}; a fully connected network makes no details of images "
                f"of more than about {MOST_VALUES:,} values",
                "dataset.resize": "the aspect is kept, and the center cropped",
                "dataset.channels": "as the images",
                "dataset.max_value": "the value of white; change it if it is another",
                "trainer.evaluation": "metrics that need no classifier of these images",
                "trainer.ada_target": "augmentation is increased once the discriminator overfits",
                "trainer.lr_decay_start": "the second half of the run",
                "run.batch_size": "at most half of the training images, in groups for the discriminator",
                "run.ema_decay": "images of the averaged generator are better",
            },
        )


def _has_classes(folder: Path) -> bool:
    """Whether there are several folders of images, or splits with them, and no images beside them."""
    tree = read_tree(folder, ())
    folders = tree.with_images()
    if tree.images or len(folders) < 2:
        return False
    train = next((one for name, one in folders.items() if plain_images.split_of(name) == "train"), None)
    return train is None or (not train.images and len(train.with_images()) > 1)


def _has_files(folder: Path) -> bool:
    """Whether there are images, or files that could be images in another format."""
    tree = read_tree(folder, ())
    return bool(tree.all_images()) or plain_images.are_convertible(tree.all_others())


def _settings(
    images: Sequence[zoo.ImageFacts], sizes: Sequence[tuple[int, int]], labeled: bool, stored: int | None
) -> dict[str, Any]:
    settings: dict[str, Any] = {"labels": "folders" if labeled else "none"}
    channels = stored or (1 if all(one.channels == 1 for one in images) else 3)
    height, width = _median(sizes)
    if len(set(sizes)) > 1 or height * width * channels > MOST_VALUES:
        settings["height"], settings["width"] = planned_size(height, width, channels)
    return settings


def planned_size(height: int, width: int, channels: int) -> tuple[int, int]:
    """Height and width of at most about `MOST_VALUES`, of the same aspect unless a side would be too small."""
    factor = min(1.0, math.sqrt(MOST_VALUES / (height * width * channels)))
    sides = [rounded(side * factor, _MULTIPLE) for side in (height, width)]
    most = max(_MULTIPLE, MOST_VALUES // (min(sides) * channels) // _MULTIPLE * _MULTIPLE)
    if sides[0] * sides[1] * channels > 1.2 * MOST_VALUES:
        sides = [min(side, most) for side in sides]
    return sides[0], sides[1]


def _median(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    height, width = (round(median(sides)) for sides in zip(*sizes, strict=True))
    return height, width


def _provided(folder: Path, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What the data set provides, the number of training images as ``train``, and what it warns of."""
    dataset = ImageFolder(ImageFolder.Config(folder=str(folder), **settings))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        provided = {**dataset.provides(), "train": len(dataset.train())}
    return provided, [str(one.message) for one in said]


def _annotated(folder: Path, files: Sequence[Path]) -> str:
    """Why images are perhaps not to be generated: most of them have an annotation."""
    found = own_files.annotation_files(folder, files)
    if 2 * len(found) < len(files):
        return ""
    return (
        f"{found[0]} and {len(found) - 1} more are annotations in a format that is not read; convert them to COCO JSON "
        "or to masks if they are to be used"
    )


def _check(
    folder: Path, files: Sequence[Path], sizes: Sequence[tuple[int, int]], names: Sequence[str], counts: Sequence[int]
) -> None:
    """Refuse images that nothing can be learned from.

    Raises:
        zoo.ZooError: the message names a file or a class.
    """
    if min(_median(sizes)) < _SMALLEST:
        file, size = next((file, size) for file, size in zip(files, sizes, strict=True) if min(size) < _SMALLEST)
        raise zoo.BadFile(
            f"{file} is {size[0]} x {size[1]} pixels, and so are most images, but {_SMALLEST} x {_SMALLEST} is the "
            "least.",
            "Give larger images.",
        )
    if sum(counts) < _FEWEST:
        raise zoo.ZooError(
            f"{folder} has {sum(counts)} training images, but at least {_FEWEST} are needed to generate others.",
            "Add images; some hundreds give better ones.",
        )
    few = [(name, count) for name, count in zip(names, counts, strict=False) if count < _GROUP]
    if few:
        name, count = few[0]
        raise zoo.ZooError(
            f"the class {name} of {folder} has {count} training images, but at least {_GROUP} are needed.",
            f"Add images of {name}, or remove its folder.",
        )


def _remarks(files: Sequence[Path], sizes: Sequence[tuple[int, int]], settings: dict[str, Any]) -> list[str]:
    remarks = []
    if "height" in settings:
        height, width = settings["height"], settings["width"]
        small = sum(size[0] < height or size[1] < width for size in sizes)
        if small:
            remarks.append(f"{small} images are smaller than {height} x {width}, and are enlarged")
    by_folder: dict[Path, list[Path]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file)
    if are_sequences([sorted(inside, key=zoo.natural_key) for inside in by_folder.values()]):
        remarks.append(
            "the images follow one another, like the frames of a clip: single ones are generated, in no order"
        )
    return remarks
