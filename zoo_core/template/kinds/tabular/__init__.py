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
        summary="A multilayer perceptron that classifies the rows of a table",
        paper="Rumelhart et al. 1986",
        license="Apache-2.0",
        tags=("classification", "tabular"),
    )
    registry.trainer(
        "my-model",
        "my_model.trainer:MyModelTrainer",
        summary="Cross-entropy with AdamW",
        paper="Loshchilov & Hutter 2019 (AdamW)",
        license="Apache-2.0",
    )
    registry.dataset(
        "my-model-table",
        "my_model.dataset:Table",
        summary="The rows of a CSV file, or points on two interleaved spirals",
        paper="Lang & Witbrock 1988 (two spirals)",
        license="Apache-2.0",
        tags=("tabular",),
    )
    registry.recipes(Path(__file__).parent / "registry.yaml")
