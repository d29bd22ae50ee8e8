"""Names of the bundled data sets. Light: read by `zoo list`, so nothing here imports torch."""

from __future__ import annotations

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.dataset(
        "mnist",
        "zoo_plugins.datasets.mnist.dataset:MNIST",
        summary="70,000 handwritten digits, 28 x 28 gray (5,000 of them where there is no network)",
        paper="LeCun et al. 1998",
        license="CC-BY-SA-3.0",
        tags=("digits", "image"),
    )
    registry.dataset(
        "moving-mnist",
        "zoo_plugins.datasets.moving_mnist:MovingMNIST",
        summary="Clips of two digits that bounce in 64 x 64, made on the fly, endless and seeded",
        paper="Srivastava et al. 2015",
        license="CC-BY-SA-3.0",
        tags=("digits", "video"),
    )
    registry.dataset(
        "digit-scenes",
        "zoo_plugins.datasets.digit_scenes:DigitScenes",
        summary="Up to three digits in 64 x 84, with the class of every pixel, made on the fly, endless and seeded",
        paper="LeCun et al. 1998 (the digits)",
        license="CC-BY-SA-3.0",
        tags=("digits", "segmentation"),
    )
    registry.dataset(
        "frame-folder",
        "zoo_plugins.datasets.frame_folder:FrameFolder",
        summary="Your own clips: folders of pictures, GIF files or arrays, cut into past and future frames",
        license="Apache-2.0",
        tags=("video",),
    )
    registry.dataset(
        "mask-folder",
        "zoo_plugins.datasets.mask_folder:MaskFolder",
        summary="Your own pictures and masks, paired by name",
        license="Apache-2.0",
        tags=("segmentation",),
    )
    registry.dataset(
        "oxford-pets",
        "zoo_plugins.datasets.oxford_pets:OxfordPets",
        summary="7,349 pictures of cats and dogs, and which pixels are the animal's",
        paper="Parkhi et al. 2012",
        license="CC-BY-SA-4.0",
        tags=("segmentation", "image"),
    )
