"""Registers the bundled datasets. `zoo list` imports this module, so it must not import torch."""

from __future__ import annotations

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.dataset(
        "mnist",
        "zoo_plugins.datasets.mnist.dataset:MNIST",
        summary="70,000 handwritten digits, 28 x 28 gray; a subset of 5,000 works offline",
        paper="LeCun et al. 1998",
        license="CC-BY-SA-3.0",
        tags=("digits", "image"),
    )
    registry.dataset(
        "moving-mnist",
        "zoo_plugins.datasets.moving_mnist:MovingMNIST",
        summary="Clips of two digits that bounce in 64 x 64, generated from a seed; the training split is endless",
        paper="Srivastava et al. 2015",
        license="CC-BY-SA-3.0",
        tags=("digits", "video"),
    )
    registry.dataset(
        "digit-scenes",
        "zoo_plugins.datasets.digit_scenes:DigitScenes",
        summary="Segmentation of up to three digits in 64 x 84, generated from a seed; the training split is endless",
        paper="LeCun et al. 1998 (the digits)",
        license="CC-BY-SA-3.0",
        tags=("digits", "segmentation"),
    )
    registry.dataset(
        "frame-folder",
        "zoo_plugins.datasets.frame_folder:FrameFolder",
        summary="Your own clips: folders of images, GIF files or arrays, cut into past and future frames",
        license="Apache-2.0",
        tags=("video",),
    )
    registry.dataset(
        "mask-folder",
        "zoo_plugins.datasets.mask_folder:MaskFolder",
        summary="Your own images and segmentation masks, paired by file name",
        license="Apache-2.0",
        tags=("segmentation",),
    )
    registry.dataset(
        "image-folder",
        "zoo_plugins.datasets.image_folder:ImageFolder",
        summary="Your own images in a folder for each class, or without labels",
        license="Apache-2.0",
        tags=("classification", "image"),
    )
    registry.dataset(
        "oxford-pets",
        "zoo_plugins.datasets.oxford_pets:OxfordPets",
        summary="7,349 images of cats and dogs with segmentation masks",
        paper="Parkhi et al. 2012",
        license="CC-BY-SA-4.0",
        tags=("segmentation", "image"),
    )
    registry.task(
        "segment",
        "zoo_plugins.datasets.fit_masks:SegmentImages",
        summary="Images with masks, such as `images` and `masks`: semantic segmentation",
        license="Apache-2.0",
        tags=("segmentation",),
    )
    registry.task(
        "classify",
        "zoo_plugins.datasets.fit_classes:ClassifyImages",
        summary="A folder of images for each class: classification",
        license="Apache-2.0",
        tags=("image", "classification"),
    )
    registry.task(
        "clips",
        "zoo_plugins.datasets.fit_clips:PredictFrames",
        summary="Folders of frames, GIF files, arrays or videos: prediction of the next frames",
        license="Apache-2.0",
        tags=("video",),
    )
    registry.task(
        "generate",
        "zoo_plugins.datasets.fit_generator:GenerateImages",
        summary="A folder of images: generation of new ones",
        license="Apache-2.0",
        tags=("image", "generation"),
    )
