"""The networks of segmentation_models_pytorch by name, such as ``smp/unet-resnet18``, as a plugin for zoo."""

from pathlib import Path

import zoo_core as zoo
from zoo_smp.names import ARCHITECTURES, names

zoo_api_version = 1


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    about = {
        "paper": "Iakubovskii 2019 (segmentation_models_pytorch)",
        "license": "MIT",
        "tags": ("segmentation", "image", "smp"),
    }
    library, family = "segmentation-models-pytorch", "zoo_smp.model:Network"
    summary = f"Architectures of {library} with its encoders"
    registry.models("smp", names, family, library=library, summary=summary, **about)
    for architecture, (title, encoder) in ARCHITECTURES.items():
        registry.model(
            f"smp/{architecture}",
            "zoo_smp.model:AnyEncoder",
            settings={"architecture": architecture, "encoder": encoder},
            summary=f"{title} of {library} with any encoder, those of timm included",
            **about,
        )
    registry.recipes(Path(__file__).parent / "recipes.yaml")
