"""The settings of a run, and which of them differ from its recipe."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from zoo_core.config.recipe import Recipe
from zoo_core.config.run_settings import RunSettings
from zoo_core.errors import in_yaml
from zoo_core.runs.resume_changes import flat


@dataclass(frozen=True)
class Setting:
    """One setting of a run, as YAML. ``recipe`` is the value in the recipe; None if the recipe does not set it."""

    key: str
    value: str
    recipe: str | None
    differs: bool


def settings_of(config: Recipe, recipe: Recipe | None, command: Any) -> list[Setting]:
    """Every setting of ``config``, those that differ first.

    A setting that the recipe does not set differs if it was given on the command line, or if it is a ``run`` setting
    that is not the default. Defaults of plugins are not compared, since that would need the plugin's code.
    """
    values = dict(flat(config.values))
    in_recipe = dict(flat(recipe.values)) if recipe else {}
    expected = {**(_defaults() if recipe else {}), **in_recipe}
    overridden = {word.partition("=")[0] for word in command or () if isinstance(word, str) and "=" in word}
    found = []
    for key, value in values.items():
        given = recipe is not None and key not in expected and key in overridden
        differs = given or (key in expected and not _equal(value, expected[key]))
        found.append(Setting(key, value, expected.get(key), differs))
    return sorted(found, key=lambda one: not one.differs)


def _defaults() -> dict[str, str]:
    known = ((one.name, one.default) for one in fields(RunSettings))
    return {f"run.{name}": in_yaml(default) for name, default in known if default is not MISSING}


def _equal(one: str, other: str) -> bool:
    """Whether two values are equal as text or as numbers, such as ``1`` and ``1.0``."""
    if one == other:
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        return False
