"""Registers the autoencoder. `zoo list` imports this file, so it does not import torch."""

from pathlib import Path

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model("autoencoder", "zoo_autoencoder.autoencoder:Autoencoder", summary="A small denoising autoencoder")
    registry.trainer("autoencoder", "zoo_autoencoder.autoencoder:AutoencoderTrainer", summary="Mean squared error")
    registry.recipes(Path(__file__).parent / "recipes.yaml")
