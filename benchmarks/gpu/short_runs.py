"""Runs of a few steps of every recipe, on data that are in the checkout or made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

MNIST = ("dataset.source=subset",)
GAN = (*MNIST, "trainer.cas_classifier=null", "trainer.eval_classifier=null")
CLIPS = (*MNIST, "dataset.test_clips=16", "dataset.validation_clips=16")
SMALL = ("model.base_channels=8",)  # of 31 million parameters, every checkpoint would take half a gigabyte


def recipes(folder: Path) -> dict[str, tuple[str, ...]]:
    """The recipes and their overrides; the images of those for a user's own files are written into ``folder``.

    ``unet-pets`` is left out, since its data would have to be downloaded; its trainer and network are those of
    ``unet-masks``.
    """
    frames, masks = write_frames(folder / "frames"), write_masks(folder / "masks")
    size = ("dataset.height=64", "dataset.width=64")
    return {
        "clsgan-mnist": (*GAN, "trainer.ada_start=0"),  # augments from the start, not after a quarter of the run
        "clsgan-mnist-quick": (*MNIST, "trainer.ada_start=0"),
        "clsgan-mnist-reference": GAN,
        "cgan-mnist": GAN,
        "lsgan-mnist": GAN,
        "gan-mnist": GAN,
        "digit-classifier-mnist": MNIST,
        "unet-moving-mnist": CLIPS,
        "unet-digit-scenes": (*MNIST, "dataset.test_scenes=16", "dataset.validation_scenes=16"),
        "unet-moving-mnist-large": (*CLIPS, *SMALL, "run.batch_size=16", "run.workers=1"),
        "unet-frames": (f"dataset.folder={frames}", *size, *SMALL),
        "unet-masks": (
            f"dataset.folder={masks}",
            *size,
            *SMALL,
            "dataset.num_classes=3",
            "model.out_channels=3",
        ),
    }


def write_frames(folder: Path) -> Path:
    """Five clips of 44 frames."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(5):
        np.save(folder / f"{number}.npy", random.integers(0, 256, (44, 64, 64, 3), np.uint8))
    return folder


def write_masks(folder: Path) -> Path:
    """24 images with masks of three classes."""
    random = np.random.default_rng(0)
    for name, shape, highest in (("images", (64, 64, 3), 256), ("masks", (64, 64), 3)):
        (folder / name).mkdir(parents=True)
        for number in range(24):
            values = random.integers(0, highest, shape, np.uint8)
            Image.fromarray(values).save(folder / name / f"{number}.png")
    return folder
