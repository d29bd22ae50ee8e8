"""Registers the network and its trainers."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo

_PAPER = "Ronneberger et al. 2015"


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "unet",
        "zoo_plugins.unet.model:UNet",
        summary="Pictures to pictures of the same size, of any size: next frames, or classes of pixels",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("image",),
    )
    registry.trainer(
        "next-frame",
        "zoo_plugins.unet.next_frame:NextFrameTrainer",
        summary="Predicts the frames that follow, in one pass or rolled out",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("video", "prediction"),
    )
    registry.trainer(
        "segmentation",
        "zoo_plugins.unet.segmentation:SegmentationTrainer",
        summary="Finds the class of every pixel, by cross-entropy, Dice or both",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("segmentation",),
    )
    registry.recipes(Path(__file__).parent / "weights.yaml")
