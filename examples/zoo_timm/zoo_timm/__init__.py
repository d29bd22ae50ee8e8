"""All models of timm by name, such as ``timm/resnet18``, as a plugin for zoo."""

from pathlib import Path

import zoo_core as zoo
from zoo_timm.names import names

zoo_api_version = 1


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.models(
        "timm",
        names,
        "zoo_timm.model:TimmModel",
        library="timm",
        summary="Image classifiers of timm",
        paper="Wightman 2019 (timm)",
        license="Apache-2.0",
        tags=("classification", "image", "timm"),
    )
    registry.recipes(Path(__file__).parent / "recipes.yaml")
