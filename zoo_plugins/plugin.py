"""Hands over registry.yaml, the recipes and weights that come with zoo."""

from __future__ import annotations

from pathlib import Path

import zoo_core as zoo


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    here = Path(__file__).parent
    shipped = here / "registry.yaml"  # in a wheel; in an editable install it lies one level up
    registry.recipes(shipped if shipped.is_file() else here.parent / "registry.yaml")
