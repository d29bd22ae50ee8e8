"""The settings that a model or a dataset is checked with: those that are given, and those of one of its recipes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

from zoo_core.config.recipe import Recipe, typed_settings
from zoo_core.config.settings import describe, read
from zoo_core.errors import BadFile, BadSetting, ZooError, did_you_mean
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve
from zoo_core.testing.check import Skip, Subject
from zoo_core.training.opened import open_dataset


def settings_of(subject: Subject) -> dict[str, Any]:
    """The settings that are given for a component, or else its defaults.

    Where it has required settings that are not given, all others are those of the first recipe that uses it.

    Raises:
        Skip: if there is no such recipe, or its data are not available.
    """
    given = given_settings(subject)
    required = [info.name for info in describe(_config(subject)) if info.required and info.name not in given]
    return {**_of_recipe(subject, required), **given} if required else given


def given_settings(subject: Subject) -> dict[str, Any]:
    """The settings among the overrides that are of this component: ``folder=…`` or ``dataset.folder=…``."""
    words = [word for word in subject.overrides if applies(subject, word)]
    return _parsed(subject, words) if words else {}


def applies(subject: Subject, word: str) -> bool:
    """Whether a ``key=value`` is a setting of this component."""
    return _key(subject, word).split(".")[1] in [info.name for info in describe(_config(subject))]


def refuse_unsuitable(name: str, words: Iterable[str], subjects: Iterable[tuple[str, str]], here: Catalog) -> None:
    """Raise BadSetting for a ``key=value`` that is a setting of none of the components, or has another type."""
    components = [Subject(cast(Any, kind), one, here) for kind, one in subjects if kind in ("model", "dataset")]
    for word in words:
        fitting = [one for one in components if applies(one, word)]
        if not fitting:
            kinds = " and ".join(dict.fromkeys(one.kind for one in components)) or "plugin"
            known = [info.name for one in components for info in describe(_config(one))]
            given = word.partition("=")[0].rpartition(".")[2]
            raise BadSetting(
                f"'{word}' does not apply: the {kinds} '{name}' has no such setting.",
                did_you_mean(given, known, "Leave it out, or check a recipe."),
            )
        for one in fitting:
            values = _parsed(one, [word])
            if all(info.name in values for info in describe(_config(one)) if info.required):
                read(_config(one), values, f"{one.kind} '{one.name}'", one.kind)


def _config(subject: Subject) -> type[Any]:
    config: type[Any] = subject.catalog.find(cast(Any, subject.kind), subject.name).load().Config
    return config


def _key(subject: Subject, word: str) -> str:
    key = word.partition("=")[0]
    return key if key.startswith(f"{subject.kind}.") else f"{subject.kind}.{key}"


def _parsed(subject: Subject, words: Iterable[str]) -> dict[str, Any]:
    kind = subject.kind
    recipe = Recipe(subject.name, {kind: {"name": subject.name}})
    overrides = [f"{_key(subject, word)}={word.partition('=')[2]}" for word in words]
    return typed_settings(recipe.with_overrides(overrides), kind)


def _of_recipe(subject: Subject, required: Iterable[str]) -> Mapping[str, Any]:
    """The settings of the component in a recipe that uses it, which its dataset may provide."""
    kind: Literal["model", "dataset"] = cast(Any, subject.kind)
    here, reason = subject.catalog, ""
    entry = here.find(kind, subject.name)
    for owner, name in sorted(here.recipes.names(), key=lambda one: one[0] != entry.plugin):
        try:
            recipe = here.recipe(f"{owner}/{name}")
            if kind not in recipe.parts or here.find(kind, recipe.component(kind)).full_name != entry.full_name:
                continue
            resolved = resolve(recipe, here)
            if resolved.components[kind].config is None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # for example that a subset of the data is used
                    resolved = open_dataset(resolved).resolved
            return {key: value for key, value in resolved.recipe.settings(kind).items() if key != "name"}
        except ZooError as error:  # of this recipe, which may have required settings as well
            if isinstance(error, BadFile):
                reason = reason or f"; the data of {owner}/{name} are not available: {error.message}"
    raise Skip(f"it has required settings: {', '.join(required)}{reason}")
