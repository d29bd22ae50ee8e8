"""What ``zoo fit`` plans for a folder of images and masks: a U-Net on random crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zoo_core as zoo
from zoo_plugins.datasets.mask_folder import Pair, find_pairs

_CROP = {"cpu": 256}
_LARGE_CROP = 512  # on an accelerator
_MULTIPLE = 32  # of the sides of a crop: the U-Net halves them five times at most
_CHANNELS = {"cpu": 16}  # of the first stage
_MORE_CHANNELS = 32  # on an accelerator
_BATCH = {"cpu": 4}
_LARGER_BATCH = 16
_MOST_SHOWN = 5  # classes in a line


@dataclass(frozen=True)
class Facts:
    """What is in the files of a folder of images and masks."""

    pairs: Sequence[Pair]
    sizes: Sequence[tuple[int, int]]
    """The different heights and widths, the smallest first."""
    channels: int
    values: Sequence[int]
    """The values in the masks."""


class SegmentImages(zoo.Task):
    """Semantic segmentation of a folder with images and masks."""

    def find(self, folder: Path) -> zoo.Finding | None:
        if not ((folder / "images").is_dir() and (folder / "masks").is_dir()):
            return None
        pairs, notes, _ = find_pairs(folder)
        if not pairs:
            return None
        images = zoo.check_images([image for image, _ in pairs])
        masks = zoo.check_masks([mask for _, mask in pairs])
        facts = Facts(
            pairs,
            sorted({(one.height, one.width) for one in images}),
            3 if any(one.channels >= 3 for one in images) else 1,
            sorted({value for one in masks for value in one.values}),
        )
        low, high = facts.sizes[0], facts.sizes[-1]
        size = f"{low[0]} x {low[1]}" + (f" to {high[0]} x {high[1]}" if low != high else "")
        details = (
            f"{size} pixels, {'color' if facts.channels == 3 else 'gray'}",
            f"values in the masks: {', '.join(map(str, facts.values))}",
        )
        return zoo.Finding(f"{len(pairs)} images with masks", details, tuple(notes), facts)

    def plan(self, folder: Path, finding: zoo.Finding, budget: zoo.Budget) -> zoo.Plan:
        facts: Facts = finding.facts
        crop = _crop(facts.sizes[0], _CROP.get(budget.device, _LARGE_CROP))
        batch = _BATCH.get(budget.device, _LARGER_BATCH)
        augmentation = "photo" if facts.channels == 3 else "microscopy"
        values = list(facts.values)
        mapped = values != list(range(len(values)))
        dataset = {
            "name": "mask-folder",
            "folder": str(folder.resolve()),
            "num_classes": len(values),
            **({"class_values": values} if mapped else {}),
            "color": "rgb" if facts.channels == 3 else "gray",
            "crop_height": crop[0],
            "crop_width": crop[1],
            "augmentation": augmentation,
        }
        run = {"batch_size": batch, "workers": 1, "monitor": "mean_iou", "ema_decay": 0.99, "ema_buffers": True}
        channels = _CHANNELS.get(budget.device, _MORE_CHANNELS)
        model = {"name": "unet", "base_channels": channels, "head": "linear", "output": "class_logits"}
        reasons = {
            "model.base_channels": f"for a training on {budget.device}",
            "dataset.class_values": "the values in the masks, in their order",
            "dataset.crop_height": "random crops, of which a third are about a class drawn first",
            "dataset.augmentation": "for color images" if facts.channels == 3 else "for gray images",
            "trainer.loss": "cross-entropy and Dice: rare classes count as much as frequent ones",
            "run.batch_size": f"for a training on {budget.device}",
            "run.monitor": "the best checkpoint is kept",
        }
        return zoo.Plan(
            {
                "model": model,
                "dataset": dataset,
                "trainer": {"name": "segmentation", "loss": "both", "learning_rate": 3e-3},
                "run": run,
            },
            reasons,
        )


def _crop(smallest: tuple[int, int], wanted: int) -> tuple[int, int]:
    """The largest crop of up to ``wanted`` pixels that fits into the smallest image, in multiples of 32."""
    height, width = (max(_MULTIPLE, min(wanted, side) // _MULTIPLE * _MULTIPLE) for side in smallest)
    return height, width
