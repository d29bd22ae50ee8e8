"""The content of ``environment.json``: versions, device, plugins, the state of the code, the data."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING, Any

import torch

from zoo_core.registry.plugin_code import plugin_code
from zoo_core.runs.environment import git_state, versions

if TYPE_CHECKING:
    from zoo_core.config.recipe import Recipe
    from zoo_core.registry.catalog import Catalog


def environment(
    catalog: Catalog, recipe: Recipe, device: torch.device, precision: str, data: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "command": sys.argv,
        "versions": versions(),
        "plugins": {info.name: plugin_code(info) for info in catalog.plugins.infos if info.state == "loaded"},
        "device": {
            "type": str(device),
            "name": _device_name(device),
            "precision": precision,
            "threads": torch.get_num_threads(),
        },
        "platform": platform.platform(),
        "git": git_state(),
        "data": data,
        "warnings": notes,
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine() if device.type == "cpu" else os.fspath(device.type)
