"""What a run ran on, for ``environment.json``: versions, device, plugins, the state of the code, the data."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from zoo_core.catalog import Catalog
    from zoo_core.recipes import Recipe


def environment(
    catalog: Catalog, recipe: Recipe, device: torch.device, precision: str, data: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "command": sys.argv,
        "versions": versions(),
        "plugins": {
            info.name: f"{info.distribution} {info.version}" for info in catalog.plugins.infos if info.state == "loaded"
        },
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


def versions() -> dict[str, str]:
    names = ("zoo-core", "torch", "numpy", "accelerate", "safetensors")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def git_state() -> dict[str, Any] | None:
    """The commit of the working folder and whether it has changes; None outside a repository or without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  # fixed words
    return done.stdout.strip()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine() if device.type == "cpu" else os.fspath(device.type)
