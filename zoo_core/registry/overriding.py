"""Names that the ``registry.yaml`` of the working folder overrides: it may be part of a download."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from zoo_core.config.layers import Recipes
from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import Source
from zoo_core.errors import UnknownName, ZooError
from zoo_core.registry.weights_index import Entries, Entry


class LocalOverrides:
    """Compares what a name is with what it is without the registry file of the working folder, if there is one.

    Names that only the ``given`` registry files have besides are not installed.
    """

    def __init__(self, file: Path | None, recipes: Recipes, given: Collection[Path] = ()) -> None:
        self._file, self._recipes, self._given = file, recipes, given

    @cached_property
    def _others(self) -> Recipes:
        return self._recipes.without(self._file)

    @cached_property
    def _installed(self) -> Recipes:
        return self._recipes.without(self._file, *self._given)

    @cached_property
    def _other_weights(self) -> Entries:
        return Entries(self._others.weights())

    def warn_of_recipe(self, name: str, found: Recipe | None) -> None:
        """Warn if the file changes the recipe ``found``, itself or one that it extends; None is one that it broke."""
        if self._file is None:
            return
        instead = ""
        try:
            self._installed.find(name)
            other = self._others.find(name)
            if found is not None and other.values == found.values:
                return
            full_name = f"{other.plugin}/{other.name}"
            if other.plugin and full_name != name and self._recipes.find(full_name).values == other.values:
                instead = f", which is '{full_name}'"
        except UnknownName:
            return
        except ZooError:  # ambiguous or broken without the file
            pass
        self._warn(f"recipe '{name}'{instead}", Source(self._file, ("recipes", name)))

    def warn_of_weights(self, name: str, found: Entry) -> None:
        """Warn if the file changes which weights ``name`` refers to."""
        if self._file is None or name not in self._other_weights:
            return
        instead = ""
        try:
            other = self._other_weights.find(name)
            if other == found:
                return
            instead = f", which are '{other.full_name}'" if other.full_name != name else ""
        except ZooError:  # ambiguous or broken without the file
            pass
        self._warn(f"weights '{name}'{instead}", Source(self._file, ("weights", name)))

    @staticmethod
    def _warn(what: str, place: Source) -> None:
        warnings.warn(f"{place} in the working folder overrides the installed {what}.", stacklevel=4)
