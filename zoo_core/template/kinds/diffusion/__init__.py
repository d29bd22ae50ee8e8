"""my-model, a plugin for zoo.

`zoo list` imports this module, so it imports nothing heavy.
"""

from pathlib import Path

import zoo_core as zoo

zoo_api_version = 1


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "my-model",
        "my_model.model:MyModel",
        summary="A denoising network that generates small images",
        paper="Ho et al. 2020 (DDPM); Song et al. 2021 (DDIM)",
        license="Apache-2.0",
        tags=("diffusion", "generation", "image"),
    )
    registry.trainer(
        "my-model",
        "my_model.trainer:MyModelTrainer",
        summary="Mean squared error of the predicted noise",
        paper="Ho et al. 2020; Nichol & Dhariwal 2021 (cosine noise schedule)",
        license="Apache-2.0",
    )
    registry.dataset(
        "my-model-shapes",
        "my_model.dataset:Shapes",
        summary="Images of circles, squares and diamonds, drawn in memory",
        license="Apache-2.0",
        tags=("image",),
    )
    registry.recipes(Path(__file__).parent / "registry.yaml")
