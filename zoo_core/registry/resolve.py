"""From a recipe's names and values to the classes and checked settings of its parts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import PARTS
from zoo_core.config.settings import read
from zoo_core.errors import UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.config_source import config_class
from zoo_core.registry.registry import Entry, Kind


def resolve(recipe: Recipe, catalog: Catalog) -> dict[str, tuple[type[Any], Any]]:
    """Each part's class and its checked settings; raises what is wrong with the recipe before anything is written."""
    resolved = {}
    for part, entry in _entries(recipe, catalog).items():
        loaded = entry.load()
        resolved[part] = (loaded, _checked(recipe, part, loaded.Config))
    return resolved


def complete(recipe: Recipe, catalog: Catalog) -> Recipe:
    """``recipe`` with every default written out, so that the file repeats the run after a default has changed.

    Raises what is wrong with the recipe, in most cases without importing its parts.
    """
    # What a sweep would try is no part of a run.
    values: dict[str, Any] = {key: value for key, value in recipe.values.items() if key != "sweep"}
    for part, entry in _entries(recipe, catalog).items():
        config = _checked(recipe, part, config_class(entry) or entry.load().Config)
        values[part] = {"name": recipe.component(part), **_plain(asdict(config))}
    values["run"] = {key: value for key, value in asdict(recipe.run_settings()).items() if value is not None}
    return Recipe(recipe.name, values, recipe.plugin, recipe.sources)


def build(kind: Kind, name: str, settings: dict[str, Any], catalog: Catalog) -> Any:
    """An untrained model, a data set or a trainer, from its registered name and its settings."""
    loaded = catalog.find(kind, name).load()
    return loaded(read(loaded.Config, settings, f"{kind} '{name}'"))


def _entries(recipe: Recipe, catalog: Catalog) -> dict[str, Entry]:
    found = {}
    for part in PARTS:
        try:
            found[part] = catalog.find(cast(Kind, part), recipe.component(part))
        except UnknownName as error:
            raise UnknownName(f"{recipe.where(f'{part}.name')}{part}.name: {error.message}", error.hint) from None
    return found


def _checked(recipe: Recipe, part: str, config: type[Any]) -> Any:
    return read(config, recipe.settings(part), f"{part} '{recipe.component(part)}'", part, recipe.where)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(element) for key, element in value.items()}
    return [_plain(element) for element in value] if isinstance(value, tuple) else value
