"""Flow matching for small gray images in IDX files, such as Fashion-MNIST, as a plugin for zoo."""

from pathlib import Path

import zoo_core as zoo

zoo_api_version = 1
_PAPER = "Lipman et al. 2023 (flow matching); Ho & Salimans 2022 (guidance)"


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    cited = {"paper": _PAPER, "license": "Apache-2.0"}
    registry.model(
        "flow-unet", "zoo_flow.model:FlowUNet", summary="U-Net for the velocity from noise to images", **cited
    )
    registry.trainer(
        "flow-matching", "zoo_flow.trainer:FlowMatching", summary="Flow matching on straight lines", **cited
    )
    registry.dataset("flow-idx", "zoo_flow.dataset:IDXFolder", summary="Gray images and labels in IDX files", **cited)
    registry.recipes(Path(__file__).parent / "recipes.yaml")
