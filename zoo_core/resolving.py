"""From a recipe's names and values to the classes and checked settings of its parts."""

from __future__ import annotations

from typing import Any, cast

from zoo_core.catalog import Catalog
from zoo_core.errors import UnknownName
from zoo_core.recipe_files import PARTS
from zoo_core.recipes import Recipe
from zoo_core.registry import Kind
from zoo_core.settings import read


def resolve(recipe: Recipe, catalog: Catalog) -> dict[str, tuple[type[Any], Any]]:
    """Each part's class and its checked settings; raises what is wrong with the recipe before anything is written."""
    resolved = {}
    for part in PARTS:
        kind = cast(Kind, part)
        name = recipe.component(part)
        try:
            loaded = catalog.find(kind, name).load()
        except UnknownName as error:
            raise UnknownName(f"{recipe.where(f'{part}.name')}{part}.name: {error.problem}", error.cure) from None
        config = read(loaded.Config, recipe.settings(part), f"{kind} '{name}'", part, recipe.where)
        resolved[part] = (loaded, config)
    return resolved


def complete(recipe: Recipe, catalog: Catalog) -> Recipe:
    """``recipe`` with every default written out, so that the file repeats the run after a default has changed."""
    from dataclasses import asdict

    # What a sweep would try is no part of a run.
    values: dict[str, Any] = {key: value for key, value in recipe.values.items() if key != "sweep"}
    for part, (_, config) in resolve(recipe, catalog).items():
        values[part] = {"name": recipe.component(part), **_plain(asdict(config))}
    values["run"] = {key: value for key, value in asdict(recipe.run_settings()).items() if value is not None}
    return Recipe(recipe.name, values, recipe.plugin, recipe.sources)


def build(kind: Kind, name: str, settings: dict[str, Any], catalog: Catalog) -> Any:
    """An untrained model, a data set or a trainer, from its registered name and its settings."""
    loaded = catalog.find(kind, name).load()
    return loaded(read(loaded.Config, settings, f"{kind} '{name}'"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(element) for key, element in value.items()}
    return [_plain(element) for element in value] if isinstance(value, tuple) else value
