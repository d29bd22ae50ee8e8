"""A variational autoencoder, its trainer, and a dataset of IDX files, as a plugin for zoo."""

from pathlib import Path

import zoo_core as zoo

zoo_api_version = 1
_PAPER = "Kingma & Welling 2014"


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "vae",
        "zoo_vae.model:VAE",
        summary="Convolutional variational autoencoder for gray images",
        paper=_PAPER,
        license="Apache-2.0",
        tags=("vae", "generation", "image"),
    )
    registry.trainer(
        "vae",
        "zoo_vae.trainer:VAETrainer",
        summary="Maximizes the evidence lower bound, with KL annealing",
        paper=f"{_PAPER}; Bowman et al. 2016 (KL annealing)",
        license="Apache-2.0",
    )
    registry.dataset(
        "idx-folder",
        "zoo_vae.dataset:IDXFolder",
        summary="Images and labels from a folder of IDX files, the format of MNIST and Fashion-MNIST",
        license="Apache-2.0",
        tags=("image",),
    )
    registry.recipes(Path(__file__).parent / "recipes.yaml")
