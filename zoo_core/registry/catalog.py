"""The composition root: installed plugins, the names that they registered, and all recipes and weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from zoo_core.config.layers import Recipes, given_files, local_file, plugin_files, user_files
from zoo_core.config.recipe import Recipe
from zoo_core.config.run_settings import RunSettings
from zoo_core.config.settings import SettingInfo, describe
from zoo_core.errors import UnknownName, ZooError, did_you_mean
from zoo_core.registry.builtin import register_builtin
from zoo_core.registry.config_source import config_class
from zoo_core.registry.core_loggers import register_loggers
from zoo_core.registry.entry import CALLED, Entry, Kind
from zoo_core.registry.info_types import ComponentInfo, Info, RecipeInfo, WeightsInfo
from zoo_core.registry.listing import LISTED, Row, rows_of
from zoo_core.registry.overriding import LocalOverrides
from zoo_core.registry.plugins import Plugins
from zoo_core.registry.registry import Registry
from zoo_core.registry.signature import options_of
from zoo_core.registry.unknown_name import explained
from zoo_core.registry.weights_index import Entries
from zoo_core.registry.weights_index import Entry as WeightsEntry


class Catalog:
    """Everything that has a name. ``registries`` are additional registry files of the user."""

    def __init__(self, registries: Iterable[Path] = (), installed: bool = True) -> None:
        registries = [Path(path) for path in registries]
        self.registry = Registry()
        register_loggers(self.registry)
        register_builtin(self.registry)
        self.plugins = Plugins(self.registry)
        self._user_files, self._local_file = user_files(registries), local_file(registries)
        self._given_files = [path.absolute() for path in given_files(registries)]
        self._recipes: Recipes | None = None
        self._weights: tuple[Recipes, Entries] | None = None
        self._overrides: tuple[Recipes, LocalOverrides] | None = None
        if installed:
            self.plugins.load_installed()
            self.plugins.load_files(plugin_files(registries))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Inside, this catalog is the :func:`current` one: what a trainer looks up by name is found in it."""
        token = _ACTIVE.set(self)
        try:
            yield
        finally:
            _ACTIVE.reset(token)

    @property
    def recipes(self) -> Recipes:
        if (
            self._recipes is None
            or self._recipes.files[: len(self.registry.recipe_files)] != self.registry.recipe_files
        ):
            # In a checkout, the file of the working folder may be that of the plugin.
            files_of_plugins = {path.resolve() for _, path in self.registry.recipe_files}
            own = [
                path for path in self._user_files if path.resolve() not in files_of_plugins
            ]  # in a checkout of a plugin
            self._recipes = Recipes(self.registry.recipe_files, own, self.registry.own_recipes)
        return self._recipes

    @property
    def weights(self) -> Entries:
        """The published weights of all registry files."""
        if self._weights is None or self._weights[0] is not self.recipes:
            self._weights = (self.recipes, Entries(self.recipes.weights()))
        return self._weights[1]

    @property
    def _local(self) -> LocalOverrides:
        if self._overrides is None or self._overrides[0] is not self.recipes:
            self._overrides = (self.recipes, LocalOverrides(self._local_file, self.recipes, self._given_files))
        return self._overrides[1]

    def find(self, kind: Kind, name: str) -> Entry:
        """The entry called ``name``; the error for an unknown name mentions plugins that did not load."""
        try:
            return self.registry.find(kind, name)
        except UnknownName as error:
            raise explained(error, name, self.plugins) from None

    def published(self, name: str) -> WeightsEntry:
        """The published weights called ``name``; the error for an unknown name is that of :meth:`find`."""
        try:
            found = self.weights.find(name)
        except UnknownName as error:
            raise explained(error, error.missing, self.plugins) from None
        self._local.warn_of_weights(name, found)
        return found

    def recipe(self, name: str, *overrides: str) -> Recipe:
        """The recipe called ``name`` with ``key=value`` overrides."""
        try:
            found = self.recipes.find(name)
        except UnknownName as error:
            other = self._other_kind(name) if error.missing == name else None
            raise other or explained(error, error.missing, self.plugins) from None
        except ZooError:
            self._local.warn_of_recipe(name, None)
            raise
        self._local.warn_of_recipe(name, found)
        return found.with_overrides(overrides, partial(self._keys_of, found))

    def kinds_of(self, name: str) -> list[Entry]:
        """Every model, trainer, dataset, task, logger, optimizer and schedule called ``name`` or ``plugin/name``."""
        return self.registry.named(name)

    def rows(self, kind: str, tag: str | None = None, members: bool = False) -> list[Row]:
        """The rows of ``zoo list KIND``: name, plugin, tags and summary, sorted by name.

        Recipes and weights have the tags of their model, trainer and dataset. ``tag`` selects rows with that tag. A
        family of models has one row, unless all its ``members`` are to be listed.
        """
        return rows_of(self, kind, tag, members)

    def info(self, name: str) -> Info:
        """What is known about ``name``, by kind: ``{"recipe": {…}, "model": {…}, …}``.

        Only counting a model's parameters and the options of an optimizer or schedule import torch, except for a
        ``Config`` that :mod:`.config_source` can't read.

        A malformed recipe or weights entry is a warning if the name is also that of something else.

        Raises:
            UnknownName: if nothing has this name.
            ZooError: if what has it is malformed.
        """
        found: Info = {}
        malformed: ZooError | None = None
        try:
            if name in self.recipes:
                found["recipe"] = self._describe_recipe(self.recipe(name))
        except ZooError as error:
            malformed = error
        try:
            if name in self.weights:
                found["weights"] = self.describe_weights(self.published(name))
        except ZooError as error:
            malformed = malformed or error
        entries = self.kinds_of(name)
        for entry in entries:
            self.find(entry.kind, name)  # says so if two plugins offer it, and how to choose
        for entry in entries:
            found[entry.kind] = self._describe(entry)
        if malformed and not found:
            raise malformed
        if malformed:
            warnings.warn(str(malformed.message), stacklevel=2)
        if not found:
            known = [row["name"] for kind in LISTED for row in self.rows(kind, members=True)]
            unknown = UnknownName(f"nothing is called '{name}'.", did_you_mean(name, known, "See `zoo list`."))
            raise explained(self.registry.why_unknown(name) or unknown, name, self.plugins)
        return found

    def _other_kind(self, name: str) -> UnknownName | None:
        """The error for a name that is not that of a recipe, but of something else."""
        if not (kinds := [entry.kind for entry in self.kinds_of(name)]):
            return None
        message = f"no recipe is called '{name}'; it is a {' and a '.join(kinds)}."
        used = f"Use it with: zoo fit FOLDER --task {name}" if kinds[0] == "task" else ""
        return UnknownName(message, used or f"Use it in a recipe: zoo run RECIPE {kinds[0]}.name={name}")

    def _describe_recipe(self, recipe: Recipe) -> RecipeInfo:
        """A recipe with every setting of its parts: first those that a file sets, then those with default values."""
        known, problems = self._settings_of(recipe)
        written = [
            (path, value, source)
            for path, source in sorted(recipe.sources.items(), key=lambda item: item[0][:1] != ("model",))
            if len(path) > 1 and not (isinstance(value := _at(recipe.values, path), dict) and value)
        ]
        rows = [
            {"key": ".".join(map(str, path)), "value": value, "set in": str(source), **_meaning(known.get(path[:2]))}
            for path, value, source in written
        ]
        named = {path[:2] for path, _, _ in written}
        rows += [
            {"key": ".".join(path), "value": info.default, "set in": "", **_meaning(info)}
            for path, info in known.items()
            if path not in named
        ]
        described = {
            "name": recipe.name,
            "plugin": recipe.plugin or "yours",
            "summary": recipe.summary,
            **({"incomplete": " ".join(problems)} if problems else {}),
            "settings": rows,
        }
        return cast(RecipeInfo, described)

    def _settings_of(self, recipe: Recipe) -> tuple[dict[tuple[str, ...], SettingInfo], list[str]]:
        """Every setting of a recipe by its full key, and the reasons why settings of some parts are not available."""
        known: dict[tuple[str, ...], SettingInfo] = {}
        problems = []
        for part in recipe.parts:
            try:
                config = config_class(self.find(cast(Kind, part), recipe.component(part)))
                known |= {(part, info.name): info for info in describe(config)} if config else {}
            except ZooError as error:
                problems.append(error.message)
        left_out = () if "dataset" in recipe.parts else ("epochs", "batch_size")  # they count examples
        run = {("run", info.name): info for info in describe(RunSettings) if info.name not in left_out}
        return known | run, problems

    def _keys_of(self, recipe: Recipe) -> dict[str, str]:
        """The full key of every available setting of a recipe's parts, by its name."""
        known, _ = self._settings_of(recipe)
        return {name: f"{part}.{name}" for part, name in known if part != "run"}

    def describe_weights(self, entry: WeightsEntry) -> WeightsInfo:
        listed = entry.listed
        facts = {key: getattr(listed, key) for key in ("model", "recipe", "license", "location", "size", "sha256")}
        described = {
            "name": entry.full_name,
            "summary": listed.summary,
            **{key: value for key, value in facts.items() if value is not None},
            **({"deprecated": listed.deprecated} if listed.deprecated else {}),
            "metrics": dict(listed.metrics),
            "settings": [],
        }
        return cast(WeightsInfo, described)

    def _describe(self, entry: Entry) -> ComponentInfo:
        config = config_class(entry) if entry.kind not in CALLED else None
        settings = [vars(info) for info in (describe(config) if config else ())]
        if entry.kind in CALLED:
            settings = [one.describe() for one in options_of(entry).values()]
        described: dict[str, Any] = {
            "name": entry.full_name,
            "summary": entry.summary,
            "paper": entry.paper,
            "license": entry.license,
            "class": entry.target,
            "settings": settings,
        }
        if entry.kind == "model" and not any(info["required"] for info in described["settings"]):
            described["parameters"] = entry.load().count_parameters()
        return cast(ComponentInfo, described)


_ACTIVE: ContextVar[Catalog | None] = ContextVar("active catalog", default=None)


def current() -> Catalog:
    """The catalog of the command or run that is under way, else that of what is installed."""
    return _ACTIVE.get() or default()


@cache
def default() -> Catalog:
    """The catalog of what is installed here, made once."""
    return Catalog()


def _at(values: Any, key: tuple[str, ...]) -> Any:
    for part in key:
        values = values[part]
    return values


def _meaning(info: SettingInfo | None) -> dict[str, Any]:
    """What is known about a setting, apart from its value in a recipe."""
    return {} if info is None else {key: value for key, value in vars(info).items() if key != "name"}
