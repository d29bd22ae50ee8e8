"""Registers the model, its trainer and its weights."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo

_PAPERS = "Mao et al. 2017 (least squares), Mirza & Osindero 2014 (conditional), Goodfellow et al. 2014"


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "clsgan",
        "zoo_plugins.clsgan.model:CLSGAN",
        summary="GAN on images of any size with fully connected layers, conditional or not",
        paper=_PAPERS,
        license="Apache-2.0",
        tags=("gan", "generation", "image"),
    )
    registry.trainer(
        "clsgan",
        "zoo_plugins.clsgan.trainer:CLSGANTrainer",
        summary="Adversarial training with the least-squares or the non-saturating cross-entropy loss",
        paper=_PAPERS,
        license="Apache-2.0",
        tags=("gan", "generation", "image"),
    )
    registry.recipes(Path(__file__).parent / "weights.yaml")
