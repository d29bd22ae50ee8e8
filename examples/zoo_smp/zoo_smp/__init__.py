"""The networks of segmentation_models_pytorch by name, such as ``smp/unet-resnet18``, as a plugin for zoo."""

from pathlib import Path

import zoo_core as zoo
from zoo_smp.names import ARCHITECTURES, names

zoo_api_version = 1


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    about: zoo.About = {
        "summary": "",
        "paper": "Iakubovskii 2019 (segmentation_models_pytorch)",
        "license": "MIT",
        "tags": ("segmentation", "image", "smp"),
    }
    registry.models(
        "smp",
        names,
        "zoo_smp.model:Network",
        library="segmentation-models-pytorch",
        **{**about, "summary": "Architectures of segmentation_models_pytorch with each of its encoders"},
    )
    for architecture, (title, encoder) in ARCHITECTURES.items():
        registry.model(
            f"smp/{architecture}",
            "zoo_smp.model:AnyEncoder",
            settings={"architecture": architecture, "encoder": encoder},
            **{**about, "summary": f"{title} of segmentation_models_pytorch with any encoder, those of timm included"},
        )
    registry.recipes(Path(__file__).parent / "recipes.yaml")
