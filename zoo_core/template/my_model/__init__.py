"""my-model, a plugin for zoo. `zoo list` imports this module, so it imports nothing heavy."""

from pathlib import Path

import zoo_core as zoo

zoo_api_version = 1


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model(
        "my-model",
        "my_model.model:MyModel",
        summary="A multilayer perceptron that classifies points of the plane",
        paper="Lang & Witbrock 1988",
        license="Apache-2.0",
        tags=("classification",),
    )
    registry.trainer(
        "my-model",
        "my_model.trainer:MyModelTrainer",
        summary="Cross-entropy with AdamW",
        paper="Loshchilov & Hutter 2019 (AdamW)",
        license="Apache-2.0",
    )
    registry.dataset(
        "my-model-spirals",
        "my_model.dataset:Spirals",
        summary="Points on two interleaved spirals, generated in memory",
        paper="Lang & Witbrock 1988",
        license="Apache-2.0",
    )
    registry.recipes(Path(__file__).parent / "registry.yaml")
