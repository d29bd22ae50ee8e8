"""Registers the models, their trainer and the weights."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "digit-classifier",
        "zoo_plugins.classifier.model:DigitClassifier",
        summary="Small convolutional classifier of 28 x 28 digits",
        paper="LeCun et al. 1998",
        license="Apache-2.0",
        tags=("classification", "image"),
    )
    registry.model(
        "image-classifier",
        "zoo_plugins.classifier.image_classifier:ImageClassifier",
        summary="Residual network that classifies images of any size",
        paper="He et al. 2016",
        license="Apache-2.0",
        tags=("classification", "image"),
    )
    registry.trainer(
        "classifier",
        "zoo_plugins.classifier.trainer:ClassifierTrainer",
        summary="Cross-entropy with AdamW, a one-cycle schedule and random affine augmentation",
        paper="Loshchilov & Hutter 2019 (AdamW), Smith & Topin 2018 (one cycle)",
        license="Apache-2.0",
        tags=("classification", "image"),
    )
    registry.recipes(Path(__file__).parent / "weights.yaml")
