"""A recipe resolved against the catalog: every setting checked once, every default written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, cast

from zoo_core.config.recipe import Recipe, RunSettings
from zoo_core.config.recipe_files import PARTS
from zoo_core.config.settings import read
from zoo_core.errors import UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.config_source import config_class
from zoo_core.registry.named_in_settings import check_named
from zoo_core.registry.registry import Entry, Kind
from zoo_core.registry.requirements import explain


class Loaded(NamedTuple):
    """An imported component class and its settings, an instance of the class's own ``Config``."""

    component: type[Any]
    config: Any

    def build(self) -> Any:
        """The component with these settings."""
        try:
            return self.component(self.config)
        except ModuleNotFoundError as error:
            if missing := explain(error):
                raise missing from error
            raise


@dataclass(frozen=True)
class Component:
    """A registered component and its checked settings. Importing the class is left to :meth:`load`."""

    entry: Entry
    config: Any
    """An instance of the class's ``Config``, or of a dataclass with the same fields that was read from its source."""

    def load(self) -> Loaded:
        """Import the class.

        Raises:
            BrokenPlugin: if it cannot be imported.
        """
        loaded = self.entry.load()
        if isinstance(self.config, loaded.Config):
            return Loaded(loaded, self.config)
        values = {field.name: getattr(self.config, field.name) for field in fields(self.config)}
        return Loaded(loaded, loaded.Config(**values))


@dataclass(frozen=True)
class ResolvedRecipe:
    """What a run needs to begin: nothing in it has to be checked again."""

    recipe: Recipe
    """The recipe with every default written out, so that its file repeats the run after a default has changed."""
    settings: RunSettings
    """The part ``run``."""
    components: Mapping[str, Component]
    """The model, the dataset and the trainer, by part."""
    catalog: Catalog
    """Where the names were found; names that the run looks up later are found there, too."""

    def load(self) -> dict[str, Loaded]:
        """Import the classes of all components, by part.

        Raises:
            BrokenPlugin: if one cannot be imported.
        """
        return {part: component.load() for part, component in self.components.items()}


def resolve(recipe: Recipe, catalog: Catalog) -> ResolvedRecipe:
    """Check ``recipe`` and complete it, in most cases without importing its classes.

    Raises:
        ZooError: for an unknown name, and for a setting that is unknown, missing or out of range.
    """
    # What a sweep would try is not part of a run.
    values: dict[str, Any] = {key: value for key, value in recipe.values.items() if key != "sweep"}
    components = {}
    for part, entry in _entries(recipe, catalog).items():
        name = recipe.component(part)
        config_type = config_class(entry) or entry.load().Config
        config = read(config_type, recipe.settings(part), f"{part} '{name}'", part, recipe.where)
        check_named(catalog, config, recipe.where)
        components[part] = Component(entry, config)
        values[part] = {"name": name, **_plain(asdict(config))}
    settings = recipe.run_settings()
    values["run"] = {key: _plain(value) for key, value in asdict(settings).items() if value is not None}
    complete = Recipe(recipe.name, values, recipe.plugin, recipe.sources)
    return ResolvedRecipe(complete, settings, components, catalog)


def build(kind: Kind, name: str, settings: Mapping[str, Any], catalog: Catalog) -> Any:
    """An untrained model, a dataset or a trainer, from its registered name and its settings."""
    loaded = catalog.find(kind, name).load()
    return Loaded(loaded, read(loaded.Config, settings, f"{kind} '{name}'")).build()


def _entries(recipe: Recipe, catalog: Catalog) -> dict[str, Entry]:
    found = {}
    for part in PARTS:
        try:
            found[part] = catalog.find(cast(Kind, part), recipe.component(part))
        except UnknownName as error:
            raise UnknownName(f"{recipe.where(f'{part}.name')}{part}.name: {error.message}", error.hint) from None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(element) for key, element in value.items()}
    return [_plain(element) for element in value] if isinstance(value, tuple) else value
