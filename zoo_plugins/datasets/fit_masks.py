"""What ``zoo fit`` plans for images with masks: a U-Net on random crops."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import torch

import zoo_core as zoo
from zoo_plugins.common.image_size import target_size
from zoo_plugins.datasets import white
from zoo_plugins.datasets.class_files import ClassFiles
from zoo_plugins.datasets.fit_network import choose_network
from zoo_plugins.datasets.fit_sizes import describe_classes, describe_sizes, describe_values
from zoo_plugins.datasets.mask_examples import Pairs, image_size
from zoo_plugins.datasets.mask_folder import MaskFolder
from zoo_plugins.datasets.mask_layouts import has_masks
from zoo_plugins.datasets.own_files import listed

CAMVID_UNLABELED = 11
_CROP = {"cpu": 256}
_LARGE_CROP = 512  # on an accelerator
_MULTIPLE = 32  # of the sides of crops
_VARIED = 2.0  # times as long is the shorter side of an image than that of another: not of one scale
_MOST_CROPS = 4.0  # in the shorter side of an image; of a larger one a crop shows too little
_TILE = 2  # crops in the side of a tile: without gradients it needs less memory than a batch of four crops
_SAMPLED = 64  # images from which the mean and the standard deviation are found
_RARE = 10.0  # times as many pixels as the rarest class has the most frequent one: classes are weighted
_WEIGHTS = 0.5, 5.0  # the smallest and the largest


@dataclass(frozen=True)
class Facts:
    """What is in the files of a folder of images and masks."""

    sizes: list[tuple[int, int]]
    """Height and width of each image."""
    color: Literal["rgb", "gray"]
    reading: dict[str, Any]
    """Settings of the data set on how images are read."""
    given: dict[str, Any]
    """Settings of the data set that were given on the command line."""
    names: tuple[str, ...] = ()
    """Of the classes."""
    training: int = 0
    """Number of training images."""
    counts: list[int] = field(default_factory=list)
    """Pixels of each class in the training images."""
    mean: tuple[float, ...] = ()
    """Of the training images, for each channel."""
    std: tuple[float, ...] = ()


class SegmentImages(zoo.Task):
    """Semantic segmentation of images with masks."""

    def find(self, folder: Path) -> zoo.Finding | None:
        if not has_masks(folder, self.given):
            return None
        given = {name: value for name, value in self.given.get("dataset", {}).items() if name != "name"}
        layout = _dataset(folder, given).layout
        files = [pair.image for pair in layout.pairs]
        images = zoo.check_images(files, clips=False)
        reading = {} if "max_value" in given else white.planned(files, images)
        if "overlap" not in given and isinstance(layout.annotated, ClassFiles) and layout.annotated.has_overlaps:
            reading = {**reading, "overlap": "combine"}
        facts = Facts(
            [(one.height, one.width) for one in images],
            given.get("color") or ("rgb" if any(one.channels >= 3 for one in images) else "gray"),
            reading,
            given,
        )
        # All sizes are accepted here; what becomes of them is planned later.
        settings = {"color": facts.color, "crop_height": 1, "crop_width": 1, **reading, **given}
        dataset = _dataset(folder, settings)
        if "ignore_index" not in given and _is_camvid(dataset):
            reading["ignore_index"] = CAMVID_UNLABELED
            dataset = _dataset(folder, {**settings, **reading})
        with warnings.catch_warnings(record=True):  # they are those of the run, which says them again
            warnings.simplefilter("always")
            splits = [len(split) for split in (dataset.train(), dataset.validation(), dataset.test())]
            counts = dataset.class_counts()
        names = dataset.coding.names or tuple(map(str, range(dataset.coding.num_classes)))
        details = (
            layout.description,
            f"{describe_sizes(facts.sizes)} pixels, {describe_values(images, facts.reading)}",
            f"{splits[0]:,} for training, {splits[1]:,} for validation, {splits[2]:,} for the test",
            f"classes of the training pixels: {_frequencies(names, counts)}",
            *_untrained(names, counts),
            *dataset.coding.notes,
            *_perhaps_unlabeled(dataset, {**reading, **given}),
        )
        mean, std = _statistics(dataset.train())
        left_out = tuple(note.removeprefix("left out of ") for note in layout.left_out)
        facts = replace(facts, names=names, training=splits[0], counts=counts, mean=mean, std=std)
        return zoo.Finding(f"{len(layout.pairs):,} images with masks", details, left_out, facts)

    def plan(self, folder: Path, finding: zoo.Finding, budget: zoo.Budget) -> zoo.Plan:
        facts: Facts = finding.facts
        wanted = _CROP.get(budget.device, _LARGE_CROP)
        scale, why_scale = _scale(facts, wanted)
        crop = _crop(target_size(_image_size(facts, scale), *_middle(facts.sizes)), wanted)
        network = choose_network(crop, budget, facts.training)
        weights = _class_weights(facts.counts)
        device = f"for a training on {budget.device}"
        return zoo.Plan(
            {
                "model": {
                    "name": "unet",
                    **network.settings,
                    "head": "linear",
                    "output": "class_logits",
                    **_normalization(facts),
                    "tile": [_TILE * side for side in crop],
                    "mirroring": True,
                },
                "dataset": {
                    "name": "mask-folder",
                    "folder": str(folder.resolve()),
                    "color": facts.color,
                    **facts.reading,
                    **({"shorter_side": scale} if scale else {}),
                    "crop_height": crop[0],
                    "crop_width": crop[1],
                    "augmentation": "photo" if facts.color == "rgb" else "upright",
                },
                "trainer": {
                    "name": "segmentation",
                    "loss": "both",
                    **({"class_weights": weights} if weights else {}),
                    "learning_rate": 3e-3,
                },
                "run": {
                    "batch_size": network.batch_size,
                    "workers": 1,
                    "monitor": "mean_iou",
                    "load_best_at_end": True,
                    "ema_decay": 0.99,
                    "ema_buffers": True,
                },
            },
            {
                "model.base_channels": network.reason,
                "model.patch": "squares of 2 x 2 pixels are the input, since full resolution is slow on a CPU",
                "model.depth": "down to an eighth of the crop or less, at most four times",
                "model.normalization": "of each image, whose brightness and contrast then do not matter"
                if facts.color == "gray"
                else "by the mean and the standard deviation of the training images",
                "model.tile": "larger images are segmented in overlapping tiles",
                "model.mirroring": "averages the predictions for an image and its mirror image",
                "dataset.color": "as the images",
                "dataset.channels": "as the images",
                "dataset.ignore_index": "unlabeled pixels, since folders and values are those of CamVid",
                "dataset.overlap": "classes overlap: each combination that occurs is a class",
                "dataset.max_value": "the value of white; change it if it is another",
                "dataset.shorter_side": why_scale,
                "dataset.crop_height": "random crops, a third of them about a class that is drawn first",
                "dataset.augmentation": "for color images"
                if facts.color == "rgb"
                else "for gray images; microscopy also turns them by any angle",
                "trainer.loss": "cross-entropy, and Dice, for which a rare class counts as much as another",
                "trainer.class_weights": "of the classes in their order: rare ones count more",
                "run.batch_size": network.batch_reason or device,
                "run.monitor": "the metric that selects the best checkpoint",
                "run.load_best_at_end": "its weights are evaluated and published",
            },
        )


def _dataset(folder: Path, settings: dict[str, Any]) -> MaskFolder:
    return cast(MaskFolder, zoo.build("mask-folder", {"folder": str(folder), **settings}, kind="dataset"))


def _is_camvid(dataset: MaskFolder) -> bool:
    """Whether masks are those of CamVid as SegNet's authors distribute it, in which 11 is unlabeled.

    Its folders are ``train`` and ``trainannot``, ``val`` and ``valannot``, ``test`` and ``testannot``.
    """
    folders = {mask.parent.name for pair in dataset.layout.pairs for mask in pair.masks}
    coding = dataset.coding
    return (
        bool(folders)
        and folders <= {"trainannot", "valannot", "testannot"}
        and not coding.names
        and tuple(coding.values) == tuple(range(CAMVID_UNLABELED + 1))
    )


def _perhaps_unlabeled(dataset: MaskFolder, given: dict[str, Any]) -> list[str]:
    """What is said if nothing is ignored, and nothing says that the last class is one."""
    coding = dataset.coding
    if (
        coding.names
        or len(coding.values) < 3
        or "ignore_index" in given
        or any("ignored" in one for one in coding.notes)
    ):
        return []
    last = coding.values[-1]
    if last > 254:  # a color
        return []
    return [f"every value is a class; if {last} stands for unlabeled pixels, write dataset.ignore_index={last}"]


def _scale(facts: Facts, crop: int) -> tuple[int, str]:
    """The length of the shorter side to which all images are resized, or 0; and the reason."""
    if {"height", "width", "shorter_side"} & facts.given.keys():
        return 0, ""
    shorter = [min(size) for size in facts.sizes]
    middle, most = round(median(shorter)), round(_MOST_CROPS * crop)
    if facts.color == "rgb" and middle > most:
        return most, f"the images are large: a crop of {crop} pixels would show too little of one"
    if max(shorter) > _VARIED * min(shorter):
        return min(middle, most), "the sizes differ widely, and are brought to one scale; the aspect is kept"
    return 0, ""


def _image_size(facts: Facts, scale: int) -> tuple[int, ...]:
    """What images are resized to, as given or as planned."""
    config = _dataset(Path(), {"shorter_side": scale, **facts.given}).config
    return image_size(config)


def _middle(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    heights, widths = zip(*sizes, strict=True)
    return round(median(heights)), round(median(widths))


def _crop(size: tuple[int, int], wanted: int) -> tuple[int, int]:
    """The largest crop of up to ``wanted`` pixels that fits into an image, in multiples of 32."""
    height, width = (max(_MULTIPLE, min(wanted, side) // _MULTIPLE * _MULTIPLE) for side in size)
    return height, width


def _normalization(facts: Facts) -> dict[str, Any]:
    if facts.color == "gray":
        return {"normalization": "image"}
    return {"normalization": "fixed", "mean": list(facts.mean), "std": list(facts.std)}


def _statistics(examples: Pairs) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of some images evenly over the examples."""
    count = min(_SAMPLED, len(examples))
    moments = []
    for number in range(count):
        image = examples.image(number * len(examples) // count).double()
        moments.append(torch.stack([image.mean(dim=(1, 2)), image.square().mean(dim=(1, 2))]))
    mean, square = torch.stack(moments).mean(dim=0)
    std = (square - mean.square()).clamp(min=1e-6).sqrt()
    return tuple(round(value, 4) for value in mean.tolist()), tuple(round(value, 4) for value in std.tolist())


def _class_weights(counts: Sequence[int]) -> list[float]:
    """1 for the class of median frequency, more for rarer ones; none if the frequencies are similar."""
    occurring = [count for count in counts if count]
    if max(occurring) < _RARE * min(occurring):
        return []
    middle, (low, high) = median(occurring), _WEIGHTS
    return [round(min(high, max(low, (middle / count) ** 0.5)), 2) if count else 1.0 for count in counts]


def _untrained(names: Sequence[str], counts: Sequence[int]) -> list[str]:
    unseen = [name for name, count in zip(names, counts, strict=True) if not count]
    several = len(unseen) > 1
    return [f"class{'es' * several} {listed(unseen)} occur{'s' * (not several)} in no training image"] if unseen else []


def _frequencies(names: tuple[str, ...], counts: list[int]) -> str:
    total = sum(counts) or 1
    return describe_classes([f"{name} {count / total:.2%}" for name, count in zip(names, counts, strict=True)])
