"""A variational autoencoder, its training, and pictures from IDX files, for zoo."""

from pathlib import Path

import zoo_core as zoo

zoo_api_version = 1
_PAPER = "Kingma & Welling 2014"


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "vae",
        "zoo_vae.model:VAE",
        summary="Convolutional variational autoencoder of gray pictures",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("vae", "generation", "image"),
    )
    registry.trainer(
        "vae",
        "zoo_vae.trainer:VAETrainer",
        summary="Maximizes the evidence lower bound, the divergence growing in slowly",
        paper=f"{_PAPER}; Bowman et al. 2016 (the growing weight)",
        license="Apache-2.0",
    )
    registry.dataset(
        "idx-folder",
        "zoo_vae.dataset:IDXFolder",
        summary="Pictures and labels from a folder of IDX files, as MNIST and Fashion-MNIST are published",
        license="Apache-2.0",
        tags=("image",),
    )
    registry.recipes(Path(__file__).parent / "recipes.yaml")
