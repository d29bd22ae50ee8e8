"""What ``zoo fit`` plans for images with masks: a U-Net on random crops."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import zoo_core as zoo
from zoo_plugins.datasets import white
from zoo_plugins.datasets.fit_sizes import describe_classes, describe_sizes, describe_values, rounded
from zoo_plugins.datasets.mask_folder import MaskFolder
from zoo_plugins.datasets.mask_layouts import has_masks

_CROP = {"cpu": 256}
_LARGE_CROP = 512  # on an accelerator
_MULTIPLE = 32  # of the sides: the U-Net halves them four times
_CHANNELS = {"cpu": 16}  # of the first stage
_MORE_CHANNELS = 32  # on an accelerator
_BATCH = {"cpu": 4}
_LARGER_BATCH = 16


@dataclass(frozen=True)
class Facts:
    """What is in the files of a folder of images and masks."""

    sizes: list[tuple[int, int]]
    """Height and width of each image."""
    color: Literal["rgb", "gray"]
    reading: dict[str, Any]
    """Settings of the data set on how images are read."""


class SegmentImages(zoo.Task):
    """Semantic segmentation of images with masks."""

    def find(self, folder: Path) -> zoo.Finding | None:
        if not has_masks(folder):
            return None
        layout = MaskFolder(MaskFolder.Config(folder=str(folder))).layout
        files = [pair.image for pair in layout.pairs]
        images = zoo.check_images(files, clips=False)
        facts = Facts(
            [(one.height, one.width) for one in images],
            "rgb" if any(one.channels >= 3 for one in images) else "gray",
            white.planned(files, images),
        )
        dataset = MaskFolder(_config(folder, facts))
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
            *dataset.coding.notes,
        )
        return zoo.Finding(f"{len(layout.pairs):,} images with masks", details, tuple(layout.left_out), facts)

    def plan(self, folder: Path, finding: zoo.Finding, budget: zoo.Budget) -> zoo.Plan:
        facts: Facts = finding.facts
        settings = _config(folder, facts)
        size = (settings.height, settings.width) if settings.height else facts.sizes[0]
        crop = _crop(size, _CROP.get(budget.device, _LARGE_CROP))
        resized = {"height": settings.height, "width": settings.width} if settings.height else {}
        dataset = {
            "name": "mask-folder",
            "folder": str(folder.resolve()),
            "color": facts.color,
            **facts.reading,
            **resized,
            "crop_height": crop[0],
            "crop_width": crop[1],
            "augmentation": "photo" if facts.color == "rgb" else "microscopy",
        }
        channels = _CHANNELS.get(budget.device, _MORE_CHANNELS)
        device = f"for a training on {budget.device}"
        return zoo.Plan(
            {
                "model": {"name": "unet", "base_channels": channels, "head": "linear", "output": "class_logits"},
                "dataset": dataset,
                "trainer": {"name": "segmentation", "loss": "both", "learning_rate": 3e-3},
                "run": {
                    "batch_size": _BATCH.get(budget.device, _LARGER_BATCH),
                    "workers": 1,
                    "monitor": "mean_iou",
                    "ema_decay": 0.99,
                    "ema_buffers": True,
                },
            },
            {
                "model.base_channels": device,
                "dataset.color": "as the images",
                "dataset.channels": "as the images",
                "dataset.max_value": "the value of white; change it if it is another",
                "dataset.height": "the images have several sizes, and are resized to the median",
                "dataset.crop_height": "random crops, a third of them about a class that is drawn first",
                "dataset.augmentation": "for color images" if facts.color == "rgb" else "for gray images",
                "trainer.loss": "cross-entropy, and Dice, for which a rare class counts as much as another",
                "run.batch_size": device,
                "run.monitor": "the best checkpoint is kept",
            },
        )


def _config(folder: Path, facts: Facts) -> MaskFolder.Config:
    """The settings that the files need; images of several sizes are resized to one."""
    height = width = 0
    if len(set(facts.sizes)) > 1:
        height, width = (rounded(median(sides), _MULTIPLE) for sides in zip(*facts.sizes, strict=True))
    return MaskFolder.Config(folder=str(folder), color=facts.color, height=height, width=width, **facts.reading)


def _crop(size: tuple[int, int], wanted: int) -> tuple[int, int]:
    """The largest crop of up to ``wanted`` pixels that fits into an image, in multiples of 32."""
    height, width = (max(_MULTIPLE, min(wanted, side) // _MULTIPLE * _MULTIPLE) for side in size)
    return height, width


def _frequencies(names: tuple[str, ...], counts: list[int]) -> str:
    total = sum(counts) or 1
    return describe_classes([f"{name} {count / total:.2%}" for name, count in zip(names, counts, strict=True)])
