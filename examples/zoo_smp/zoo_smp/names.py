"""The architectures and encoders of segmentation_models_pytorch, without importing it, which imports torch."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

ARCHITECTURES = {  # the title of each, and an encoder that it supports
    "unet": ("U-Net", "resnet34"),
    "unetplusplus": ("U-Net++", "resnet34"),
    "manet": ("MA-Net", "resnet34"),
    "linknet": ("LinkNet", "resnet34"),
    "fpn": ("FPN", "resnet34"),
    "pspnet": ("PSPNet", "resnet34"),
    "deeplabv3": ("DeepLabV3", "resnet34"),
    "deeplabv3plus": ("DeepLabV3+", "resnet34"),
    "pan": ("PAN", "resnet34"),
    "upernet": ("UPerNet", "resnet34"),
    "segformer": ("SegFormer", "resnet34"),
    "dpt": ("DPT", "tu-vit_base_patch16_224"),
}
# What segmentation_models_pytorch refuses: encoders that can't be dilated, and those without a first stage.
_REFUSED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("deeplabv3", "deeplabv3plus", "pan"), ("vgg", "densenet", "inception", "xception")),
    **dict.fromkeys(("unetplusplus", "linknet"), ("mit_",)),
    "dpt": ("",),  # takes only encoders of timm, which have no names of their own here
}


def names() -> list[str]:
    """``"unet-resnet18"`` for each architecture and each encoder that it supports."""
    found = encoders()
    return [
        f"{architecture}-{encoder}"
        for architecture in ARCHITECTURES
        for encoder in found
        if not encoder.startswith(_REFUSED.get(architecture, ()))
    ]


def encoders() -> list[str]:
    """The keys of ``segmentation_models_pytorch.encoders.encoders``: those of the tables in its source files."""
    spec = find_spec("segmentation_models_pytorch")
    if spec is None or spec.submodule_search_locations is None:
        name = "segmentation_models_pytorch"
        raise ModuleNotFoundError(f"{name} is not installed", name=name)
    folders = spec.submodule_search_locations
    files = sorted(file for folder in folders for file in Path(folder, "encoders").glob("*.py"))
    return sorted({name for file in files for name in _tables(file)})


def _tables(file: Path) -> list[str]:
    """The keys of each dictionary ``…_encoders = {…}`` of a file."""
    return [
        key.value
        for statement in ast.parse(file.read_bytes()).body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict)
        if isinstance(statement.targets[0], ast.Name) and statement.targets[0].id.endswith("_encoders")
        for key in statement.value.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
