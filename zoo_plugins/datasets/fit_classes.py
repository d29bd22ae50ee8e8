"""What ``zoo fit`` plans for a folder of class folders: a residual network."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, cast

import zoo_core as zoo
from zoo_plugins.datasets import class_doubts, class_folders, white
from zoo_plugins.datasets.clip_layouts import contains_clips
from zoo_plugins.datasets.fit_sizes import describe_classes, describe_sizes, describe_values, rounded
from zoo_plugins.datasets.image_folder import ImageFolder
from zoo_plugins.datasets.mask_folders import unpacked
from zoo_plugins.datasets.mask_layouts import has_masks

_LARGEST = {"cpu": 96}  # side of the images, in pixels
_LARGER = 224  # on an accelerator
_MULTIPLE = 8
_UNEVEN = 3  # times as many images of one class as of another


@dataclass(frozen=True)
class Facts:
    """What is in the class folders."""

    sizes: list[tuple[int, int]]
    """Height and width of each image."""
    counts: list[int]
    """Training images of each class."""
    reading: dict[str, Any]
    """Settings of the data set on how images are read."""


class ClassifyImages(zoo.Task):
    """Classification of images that are in a folder for each class."""

    def find(self, folder: Path) -> zoo.Finding | None:
        folder = unpacked(folder)
        tree = class_folders.read_tree(folder, ())
        if not tree.below or (tree.images and not tree.with_images()) or has_masks(folder, self.given):
            return None
        given = {name: value for name, value in self.given.get("dataset", {}).items() if name != "name"}
        if names := class_doubts.doubt(tree):
            return _doubtful(folder, names, given)
        if not contains_clips(folder):
            return _find(folder, given)
        try:  # frames that follow one another may be pictures of classes all the same
            return replace(_find(folder, given), only_if_chosen=True)
        except zoo.ZooError:
            return None

    def plan(self, folder: Path, finding: zoo.Finding, budget: zoo.Budget) -> zoo.Plan:
        facts: Facts = finding.facts
        largest = _LARGEST.get(budget.device, _LARGER)
        one_size = len(set(facts.sizes)) == 1
        sides = [median(of_all) for of_all in zip(*facts.sizes, strict=True)]
        dataset: dict[str, object] = {
            "name": "image-folder",
            "folder": str(unpacked(folder).resolve()),
            **facts.reading,
        }
        small = max(sides) <= largest
        if not one_size or not small:
            factor = min(1, largest / max(sides))
            dataset["height"], dataset["width"] = (rounded(side * factor, _MULTIPLE) for side in sides)
        uneven = max(facts.counts) >= _UNEVEN * min(facts.counts)
        flips = min(sides) > 40
        trainer: dict[str, object] = {"name": "classifier"}
        if flips:
            trainer |= {"horizontal_flip": 0.5, "crop": 0.7}
        if uneven:
            trainer["class_weights"] = "balanced"
        batch = max(2, min(64, sum(facts.counts) // 4))
        return zoo.Plan(
            {
                "model": {"name": "image-classifier"},
                "dataset": dataset,
                "trainer": trainer,
                "run": {"batch_size": batch, "monitor": "accuracy", "load_best_at_end": True},
            },
            {
                "dataset.height": "the median of the sizes" if small else f"at most {largest} on {budget.device}",
                "dataset.channels": "as the images",
                "dataset.max_value": "the value of white; change it if it is another",
                "trainer.horizontal_flip": "larger pictures, which are probably not of digits or letters",
                "trainer.crop": "the smallest side of a random crop, as a fraction of the image",
                "trainer.class_weights": "one class has several times as many images as another",
                "run.batch_size": "at most a quarter of the training images",
                "run.monitor": "the metric that selects the best checkpoint",
                "run.load_best_at_end": "its weights are evaluated and published",
            },
        )


def _doubtful(folder: Path, doubt: str, given: dict[str, Any]) -> zoo.Finding:
    """What is found if folders are perhaps not those of classes; their images are then perhaps not alike, either."""
    try:
        return replace(_find(folder, given), doubt=doubt)
    except zoo.ZooError:
        return zoo.Finding("class folders", doubt=doubt)


def _find(folder: Path, given: dict[str, Any]) -> zoo.Finding:
    """What is in the class folders, read with the settings of the data set that are ``given``."""
    found = class_folders.find(folder)
    files = [sample.path for split in found.splits.values() for sample in split]
    images = zoo.check_images(files, clips=False)
    reading = {} if "max_value" in given else white.planned(files, images)
    sizes = [(one.height, one.width) for one in images]
    side = 32 if len(set(sizes)) > 1 else 0
    settings = {"folder": str(folder), "height": side, "width": side, **reading, **given}
    dataset = cast(ImageFolder, zoo.build("image-folder", settings, kind="dataset"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        provided = dataset.provides()
    counts = list(provided["class_counts"])
    shares = [f"{name} {count:,}" for name, count in zip(found.class_names, counts, strict=True)]
    details = (
        f"{describe_sizes(sizes)} pixels, {describe_values(images, reading)}",
        f"training images: {describe_classes(shares)}",
    )
    notes = tuple(str(one.message) for one in said)
    summary = f"{len(images):,} images of {len(found.class_names)} classes"
    return zoo.Finding(summary, (*details, *notes), (), Facts(sizes, counts, reading))
