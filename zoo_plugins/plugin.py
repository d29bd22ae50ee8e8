"""Registers the recipes of registry.yaml."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    here = Path(__file__).parent
    bundled = here / "registry.yaml"  # in a wheel; in an editable install it is one folder up
    registry.recipes(bundled if bundled.is_file() else here.parent / "registry.yaml")
