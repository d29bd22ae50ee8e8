"""Settings of this version of zoo that a benchmark may use."""

from __future__ import annotations

from zoo_core.config.recipe import RunSettings


def has(name: str) -> bool:
    """Whether there is a setting ``run.name``."""
    return name in RunSettings.__dataclass_fields__


def precisions() -> str:
    """The values of ``run.precision``, as its annotation names them."""
    return str(RunSettings.__dataclass_fields__["precision"].type)
