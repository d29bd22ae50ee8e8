"""The settings of a run, and which of them are not what its recipe says."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from zoo_core.config.recipe import Recipe, RunSettings
from zoo_core.errors import in_yaml
from zoo_core.runs.resume_changes import flat


@dataclass(frozen=True)
class Setting:
    """One setting of a run, in YAML's words. ``recipe`` is what the recipe says; None if it leaves the default."""

    key: str
    value: str
    recipe: str | None
    differs: bool


def settings_of(config: Recipe, recipe: Recipe | None, command: Any) -> list[Setting]:
    """Every setting of ``config``, those that differ first.

    A setting that the recipe leaves to its default differs if the command line gave it, or if it is one of the
    loop's, whose defaults are known without the plugin's code.
    """
    values = dict(flat(config.values))
    said = dict(flat(recipe.values)) if recipe else {}
    expected = {**(_defaults() if recipe else {}), **said}
    typed = {word.partition("=")[0] for word in command or () if isinstance(word, str) and "=" in word}
    found = []
    for key, value in values.items():
        given = recipe is not None and key not in expected and key in typed
        differs = given or (key in expected and not _same(value, expected[key]))
        found.append(Setting(key, value, expected.get(key), differs))
    return sorted(found, key=lambda one: not one.differs)


def _defaults() -> dict[str, str]:
    known = ((one.name, one.default) for one in fields(RunSettings))
    return {f"run.{name}": in_yaml(default) for name, default in known if default is not MISSING}


def _same(one: str, other: str) -> bool:
    """Whether both say the same: ``1`` and ``1.0`` do."""
    if one == other:
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        return False
