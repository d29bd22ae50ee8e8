"""A recipe resolved against the catalog: every setting checked once, every default written out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, cast

from zoo_core.config.recipe import Recipe, typed_settings
from zoo_core.config.run_settings import RunSettings
from zoo_core.config.settings import check, from_dataset, read
from zoo_core.errors import BadSetting, UnknownName, in_yaml
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.config_source import config_class
from zoo_core.registry.dataset_settings import with_dataset
from zoo_core.registry.entry import Entry, Kind
from zoo_core.registry.named_in_settings import check_named
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
    """An instance of the class's ``Config``, or of a dataclass with the same fields that was read from its source; None
    while some of its settings wait for the dataset."""

    def load(self) -> Loaded:
        """Import the class.

        Raises:
            BrokenPlugin: if it cannot be imported.
        """
        loaded = self.entry.load()
        if self.config is None or isinstance(self.config, loaded.Config):
            return Loaded(loaded, self.config)
        values = {field.name: getattr(self.config, field.name) for field in fields(self.config)}
        return Loaded(loaded, loaded.Config(**values))


@dataclass(frozen=True)
class ResolvedRecipe:
    """What a run needs to begin: nothing in it has to be checked again."""

    recipe: Recipe
    """The recipe with every default written out, so that its file repeats the run after a default has changed. Settings
    that wait for the dataset are left out."""
    settings: RunSettings
    """The part ``run``."""
    components: Mapping[str, Component]
    """The model, the dataset if there is one, and the trainer, by part."""
    catalog: Catalog
    """Where the names were found; names that the run looks up later are found there, too."""
    given: Recipe
    """The recipe as it was given."""
    asks_dataset: bool
    """Whether the model or the trainer has settings that the dataset may provide, and it was not asked for them."""
    provided: Mapping[str, Any] | None
    """What the dataset provides, once it was asked."""

    def with_provided(self, provided: Mapping[str, Any]) -> ResolvedRecipe:
        """The recipe with the settings that it leaves open, of which the dataset says what they are.

        Raises:
            BadSetting: if a value that the recipe sets contradicts the dataset, or one that it provides cannot be that
                of the setting, or a required one is not provided.
        """
        return resolve(self.given, self.catalog, provided)

    def load(self) -> dict[str, Loaded]:
        """Import the classes of all components, by part.

        Raises:
            BrokenPlugin: if one cannot be imported.
        """
        return {part: component.load() for part, component in self.components.items()}


def resolve(recipe: Recipe, catalog: Catalog, provided: Mapping[str, Any] | None = None) -> ResolvedRecipe:
    """Check ``recipe`` and complete it, in most cases without importing its classes.

    ``provided`` is what its dataset provides. Without it, the settings that the dataset may provide are left open.

    Raises:
        ZooError: for an unknown name, and for a setting that is unknown, missing or out of range.
    """
    # What a sweep would try is not part of a run.
    values: dict[str, Any] = {key: value for key, value in recipe.values.items() if key != "sweep"}
    if without_dataset := "dataset" not in recipe.parts:
        provided = {}
    components, asks_dataset = {}, False
    for part, entry in _entries(recipe, catalog).items():
        name = recipe.component(part)
        config_type = config_class(entry) or entry.load().Config
        settings = typed_settings(recipe, part)
        _refuse_run_settings(recipe, part, config_type)
        left_open: set[str] = set()
        if linked := from_dataset(config_type):
            asks_dataset = True
            settings, left_open = with_dataset(recipe, part, config_type, linked, provided)
        arguments = config_type, settings, f"{part} '{name}'", part, recipe.where
        config = None if left_open else read(*arguments)
        if config is not None:
            check_named(catalog, config, recipe.where)
        components[part] = Component(entry, config)
        values[part] = {"name": name, **_plain(check(*arguments, left_open) if config is None else asdict(config))}
    run_settings = recipe.run_settings()
    values["run"] = {key: _plain(value) for key, value in asdict(run_settings).items() if value is not None}
    if without_dataset:
        del values["run"]["batch_size"]  # there are no examples that it could count
    for part in (*components, "run"):
        _refuse_not_finite(recipe, part, values[part])
    complete = Recipe(recipe.name, values, recipe.plugin, recipe.sources)
    return ResolvedRecipe(
        complete, run_settings, components, catalog, recipe, asks_dataset and provided is None, provided
    )


def build(kind: Kind, name: str, settings: Mapping[str, Any], catalog: Catalog) -> Any:
    """An untrained model, a dataset or a trainer, from its registered name and its settings."""
    loaded = catalog.find(kind, name).load()
    return Loaded(loaded, read(loaded.Config, settings, f"{kind} '{name}'")).build()


def _entries(recipe: Recipe, catalog: Catalog) -> dict[str, Entry]:
    found = {}
    for part in recipe.parts:
        try:
            found[part] = catalog.find(cast(Kind, part), recipe.component(part))
        except UnknownName as error:
            raise UnknownName(f"{recipe.where(f'{part}.name')}{part}.name: {error.message}", error.hint) from None
    return found


def _refuse_run_settings(recipe: Recipe, part: str, config_type: type[Any]) -> None:
    """Name the section of a setting that is one of the run: the most similar one of ``part`` means something else."""
    others = {one.name for one in fields(RunSettings)} - {one.name for one in fields(config_type)}
    for key in recipe.settings(part):
        if key in others:
            raise BadSetting(
                f"{recipe.where(f'{part}.{key}')}{part}.{key}: {part} '{recipe.component(part)}' has no such setting.",
                f"Did you mean 'run.{key}'?",
            )


def _refuse_not_finite(recipe: Recipe, key: str, value: Any) -> None:
    """The header of the weights, which is JSON, states all settings."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadSetting(
            f"{recipe.where(key)}{key} is {in_yaml(value)}, but should be finite, since weights files state all "
            "settings.",
            "Write a finite number, or leave it out.",
        )
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        _refuse_not_finite(recipe, f"{key}.{name}", one)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(element) for key, element in value.items()}
    return [_plain(element) for element in value] if isinstance(value, tuple) else value
