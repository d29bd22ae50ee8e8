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
        summary="A small transformer that predicts the next character",
        paper="Vaswani et al. 2017",
        license="Apache-2.0",
        tags=("generation", "text"),
    )
    registry.trainer(
        "my-model",
        "my_model.trainer:MyModelTrainer",
        summary="Cross-entropy of the next character with AdamW",
        paper="Loshchilov & Hutter 2019 (AdamW)",
        license="Apache-2.0",
    )
    registry.dataset(
        "my-model-text",
        "my_model.dataset:Text",
        summary="The characters of a text file, or of sentences made up in memory",
        license="Apache-2.0",
        tags=("text",),
    )
    registry.recipes(Path(__file__).parent / "registry.yaml")
