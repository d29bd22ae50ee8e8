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
        summary="A small convolutional network that classifies images",
        paper="LeCun et al. 1998",
        license="Apache-2.0",
        tags=("classification", "image"),
    )
    registry.trainer(
        "my-model",
        "my_model.trainer:MyModelTrainer",
        summary="Cross-entropy with AdamW",
        paper="Loshchilov & Hutter 2019 (AdamW)",
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
