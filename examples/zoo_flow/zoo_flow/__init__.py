"""Flow matching for small gray images in IDX files, such as Fashion-MNIST, as a plugin for zoo."""

from pathlib import Path
from typing import Any

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    cited: dict[str, Any] = {"paper": "Lipman et al. 2023; Ho & Salimans 2022 (guidance)", "license": "Apache-2.0"}
    registry.model("flow-unet", "zoo_flow.flow:FlowUNet", summary="U-Net for the velocity of images", **cited)
    registry.trainer("flow-matching", "zoo_flow.flow:FlowMatching", summary="Flow matching on straight lines", **cited)
    registry.dataset("flow-idx", "zoo_flow.flow:IDXFolder", summary="Gray images and labels in IDX files", **cited)
    registry.recipes(Path(__file__).parent / "recipes.yaml")
