"""The composition root: installed plugins, the names that they registered, and all recipes and weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from zoo_core.config.layers import Recipes, plugin_files, user_files
from zoo_core.config.recipe import Recipe, RunSettings
from zoo_core.config.settings import SettingInfo, describe
from zoo_core.errors import BrokenPlugin, UnknownName, ZooError, did_you_mean
from zoo_core.registry.builtin import register_builtin
from zoo_core.registry.config_source import config_class
from zoo_core.registry.core_loggers import register_loggers
from zoo_core.registry.family import Family
from zoo_core.registry.info_types import ComponentInfo, Info, RecipeInfo, WeightsInfo
from zoo_core.registry.plugins import PluginInfo, Plugins
from zoo_core.registry.registry import CALLED, KINDS, Entry, Kind, Registry
from zoo_core.registry.signature import options_of
from zoo_core.registry.weights_index import Entries
from zoo_core.registry.weights_index import Entry as WeightsEntry

LISTED = ("recipes", *(f"{kind}s" for kind in KINDS), "weights")
Tags = Mapping[tuple[str, str], Iterable[str]]


class Catalog:
    """Everything that has a name. ``registries`` are additional registry files of the user."""

    def __init__(self, registries: Iterable[Path] = (), installed: bool = True) -> None:
        registries = [Path(path) for path in registries]
        self.registry = Registry()
        register_loggers(self.registry)
        register_builtin(self.registry)
        self.plugins = Plugins(self.registry)
        self._user_files = user_files(registries)
        self._recipes: Recipes | None = None
        self._weights: tuple[Recipes, Entries] | None = None
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
            self._recipes = Recipes(self.registry.recipe_files, self._user_files, self.registry.own_recipes)
        return self._recipes

    @property
    def weights(self) -> Entries:
        """The published weights of all registry files."""
        if self._weights is None or self._weights[0] is not self.recipes:
            self._weights = (self.recipes, Entries(self.recipes.weights()))
        return self._weights[1]

    def find(self, kind: Kind, name: str) -> Entry:
        """The entry called ``name``; the error for an unknown name mentions plugins that did not load."""
        try:
            return self.registry.find(kind, name)
        except UnknownName as error:
            raise self._explained(error, name) from None

    def recipe(self, name: str, *overrides: str) -> Recipe:
        """The recipe called ``name`` with ``key=value`` overrides."""
        try:
            found = self.recipes.find(name)
        except UnknownName as error:
            raise self._explained(self._other_kind(error, name), name) from None
        return found.with_overrides(overrides, partial(self._keys_of, found))

    def kinds_of(self, name: str) -> list[Entry]:
        """Every model, trainer, dataset, logger, optimizer and schedule called ``name`` or ``plugin/name``."""
        return self.registry.named(name)

    def rows(self, kind: str, tag: str | None = None, members: bool = False) -> list[dict[str, str]]:
        """The rows of ``zoo list KIND``: name, plugin, tags and summary, sorted by name.

        Recipes and weights have the tags of their model, trainer and dataset. ``tag`` selects rows with that tag. A
        family of models has one row, unless all its ``members`` are to be listed.
        """
        if kind == "recipes":
            tags = self._tags()
            rows = [self._recipe_row(plugin, name, tags) for plugin, name in self.recipes.names()]
        elif kind == "weights":
            tags = self._tags()
            rows = [self._weights_row(plugin, name, tags) for plugin, name in self.weights]
        elif kind.removesuffix("s") in KINDS:
            singular = cast(Kind, kind.removesuffix("s"))
            families = [family for family in self.registry.families if family.template.kind == singular]
            if members:
                entries, families = self.registry.of_kind(singular), [one for one in families if one.problem]
            else:
                entries = [entry for entry in self.registry.entries if entry.kind == singular]
            rows = [_row(entry.name, entry.plugin, entry.tags, entry.summary) for entry in entries]
            rows += [_family_row(family) for family in families]
        else:
            raise UnknownName(f"can't list '{kind}'.", f"Choose from {', '.join(LISTED)}, plugins.")
        chosen = [row for row in rows if tag is None or tag in row["tags"].split()]
        return sorted(chosen, key=lambda row: (row["name"], row["plugin"]))

    def info(self, name: str) -> Info:
        """What is known about ``name``, by kind: ``{"recipe": {…}, "model": {…}, …}``.

        Only counting a model's parameters and the options of an optimizer or schedule import torch, except for a
        ``Config`` that :mod:`.config_source` can't read.

        Raises:
            UnknownName: if nothing has this name.
        """
        found: Info = {}
        if name in self.recipes:
            found["recipe"] = self._describe_recipe(self.recipes.find(name))
        if name in self.weights:
            found["weights"] = self.describe_weights(self.weights.find(name))
        entries = self.kinds_of(name)
        for entry in entries:
            self.find(entry.kind, name)  # says so if two plugins offer it, and how to choose
        for entry in entries:
            found[entry.kind] = self._describe(entry)
        if not found:
            known = [row["name"] for kind in LISTED for row in self.rows(kind, members=True)]
            unknown = UnknownName(f"nothing is called '{name}'.", did_you_mean(name, known, "See `zoo list`."))
            raise self._explained(self.registry.why_unknown(name) or unknown, name)
        return found

    def _other_kind(self, error: UnknownName, name: str) -> UnknownName:
        """The error for a name that is not that of a recipe, with what else it is the name of."""
        if not (kinds := [entry.kind for entry in self.kinds_of(name)]):
            return error
        message = f"no recipe is called '{name}'; it is a {' and a '.join(kinds)}."
        return UnknownName(message, f"Use it in a recipe: zoo run RECIPE {kinds[0]}.name={name}")

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

    def _recipe_row(self, plugin: str, name: str, tags: Tags) -> dict[str, str]:
        """A broken recipe has the error as its summary, so that the others can still be listed."""
        try:
            recipe = self.recipes.find(f"{plugin}/{name}" if plugin else name)
        except ZooError as error:
            return _row(name, plugin, (), f"(broken: {error.message})")
        parts = ((part, str((recipe.values.get(part) or {}).get("name"))) for part in recipe.parts)
        own = dict.fromkeys(tag for part in parts for tag in _tags_of(part, tags))
        return _row(name, plugin, own, recipe.summary)

    def _tags(self) -> Tags:
        """The tags of every component by kind and name, for all rows at once; of a family by ``prefix/``."""
        tags: dict[tuple[str, str], dict[str, None]] = {}
        for entry in self.registry.entries:
            for name in (entry.name, entry.full_name):
                tags.setdefault((entry.kind, name), {}).update(dict.fromkeys(entry.tags))
        for family in self.registry.families:
            for name in (family.template.name, family.template.full_name):
                tags.setdefault((family.template.kind, f"{name}/"), {}).update(dict.fromkeys(family.template.tags))
        return tags

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

    def _weights_row(self, plugin: str, name: str, tags: Tags) -> dict[str, str]:
        try:
            listed = self.weights.get(plugin, name).listed
        except ZooError as error:
            return _row(name, plugin, (), f"(broken: {error.message})")
        summary = listed.summary or (f"the same as {listed.alias}" if listed.alias else "")
        return _row(name, plugin, _tags_of(("model", listed.model or ""), tags), summary)

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

    def _explained(self, error: UnknownName, name: str) -> UnknownName | BrokenPlugin:
        """``error`` with a better reason, if a plugin that is not loaded may offer ``name``."""
        owner = name.partition("/")[0]

        def may_offer(plugin: PluginInfo) -> bool:
            return plugin.name in (owner, name) or name.startswith(f"{plugin.name}-")

        for disabled in self.plugins.disabled:
            if may_offer(disabled):
                return UnknownName(
                    f"{error.message} The plugin '{disabled.name}' is disabled.",
                    f"{disabled.why[:1].upper()}{disabled.why[1:]}.",
                )
        for broken in self.plugins.broken:
            if may_offer(broken):
                return BrokenPlugin(
                    f"{error.message} The plugin '{broken.name}' is installed but did not load: {broken.why}",
                    broken.hint or f"Fix or update it: pip install --upgrade {broken.distribution}",
                )
        if self.plugins.broken and error.hint and not error.hint.startswith("Did you mean"):
            names = ", ".join(f"'{broken.name}'" for broken in self.plugins.broken)
            return UnknownName(
                f"{error.message} Some plugins did not load: {names}.", "See `zoo plugins` for the reason."
            )
        return error


_ACTIVE: ContextVar[Catalog | None] = ContextVar("active catalog", default=None)


def current() -> Catalog:
    """The catalog of the command or run that is under way, else that of what is installed."""
    return _ACTIVE.get() or default()


@cache
def default() -> Catalog:
    """The catalog of what is installed here, made once."""
    return Catalog()


def _row(name: str, plugin: str, tags: Iterable[str], summary: str) -> dict[str, str]:
    return {"name": name, "plugin": plugin or "yours", "tags": " ".join(tags), "summary": summary}


def _family_row(family: Family) -> dict[str, str]:
    """The row of a family. If its names are not available, its summary is the reason."""
    template, problem = family.template, family.problem
    summary = f"(broken: {problem.message})" if problem else f"{len(family):,} models: {template.summary}"
    return _row(family.prefix, template.plugin, template.tags, summary)


def _tags_of(part: tuple[str, str], tags: Tags) -> Iterable[str]:
    """The tags of a component, or of the family that it belongs to."""
    kind, name = part
    prefixes = [name[: at + 1] for at, character in enumerate(name) if character == "/"]
    return next((tags[kind, one] for one in (name, *prefixes) if (kind, one) in tags), ())


def _at(values: Any, key: tuple[str, ...]) -> Any:
    for part in key:
        values = values[part]
    return values


def _meaning(info: SettingInfo | None) -> dict[str, Any]:
    """What is known about a setting, apart from its value in a recipe."""
    return {} if info is None else {key: value for key, value in vars(info).items() if key != "name"}
