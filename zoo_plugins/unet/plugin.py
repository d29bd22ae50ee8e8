"""Registers the model, its trainers and its weights."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo

_PAPER = "Ronneberger et al. 2015"


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "unet",
        "zoo_plugins.unet.model:UNet",
        summary="U-Net for images of any size: next-frame prediction or semantic segmentation",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("image",),
    )
    registry.trainer(
        "next-frame",
        "zoo_plugins.unet.next_frame:NextFrameTrainer",
        summary="Next-frame prediction, in one forward pass or autoregressively",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("video", "prediction"),
    )
    registry.trainer(
        "segmentation",
        "zoo_plugins.unet.segmentation:SegmentationTrainer",
        summary="Semantic segmentation with cross-entropy, Dice loss or both",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("segmentation",),
    )
    registry.recipes(Path(__file__).parent / "weights.yaml")
