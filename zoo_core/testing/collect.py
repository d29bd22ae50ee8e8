"""The cases of a name: each check that applies to a plugin, or to one of its models, data sets and recipes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from zoo_core.errors import UnknownName, did_you_mean
from zoo_core.registry.catalog import Catalog
from zoo_core.testing import dataset_checks, model_checks, plugin_checks, recipe_checks
from zoo_core.testing.check import Check, Failed, Kind, Skip, Subject

State = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """How a check went."""

    state: State
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Case:
    """A check of one thing."""

    check: Check
    subject: Subject = field(repr=False)

    def __str__(self) -> str:
        return f"{self.subject.kind}-{self.subject.name}-{self.check.name}"

    def run(self) -> Outcome:
        """Try it. Whatever is raised but Skip is a failure."""
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # for example that a subset of the data is used
                self.check.function(self.subject)
        except Skip as skip:
            return Outcome("skipped", str(skip), time.perf_counter() - start)
        except Failed as failed:
            return Outcome("failed", str(failed), time.perf_counter() - start)
        except Exception as error:
            return Outcome("failed", f"{type(error).__name__}: {error}", time.perf_counter() - start)
        return Outcome("passed", "", time.perf_counter() - start)


def all_checks() -> list[Check]:
    """Every check there is, in the order of its writing."""
    modules = (dataset_checks, model_checks, plugin_checks, recipe_checks)
    return [one for module in modules for one in vars(module).values() if isinstance(one, Check)]


def cases(name: str, overrides: Iterable[str] = (), catalog: Catalog | None = None) -> list[Case]:
    """The checks of a plugin and all it brings, or of one model, data set or recipe.

    Raises:
        UnknownName: if nothing is called ``name``.
    """
    here = catalog or Catalog()
    words = tuple(overrides)
    subjects = _of_plugin(name, here) or _of_name(name, here)
    if not subjects:
        known = [info.name for info in here.plugins.infos] + [entry.name for entry in here.registry.entries]
        known += [one for _, one in here.recipes.names()]
        raise UnknownName(
            f"there is no plugin, model, dataset or recipe '{name}'.", did_you_mean(name, known, "See `zoo list`.")
        )
    return [
        Case(one, Subject(kind, thing, here, words))
        for kind, thing in subjects
        for one in all_checks()
        if one.kind == kind
    ]


def _of_plugin(name: str, here: Catalog) -> list[tuple[Kind, str]]:
    owners = {info.name for info in here.plugins.infos} | {entry.plugin for entry in here.registry.entries}
    if name not in owners | {owner for owner, _ in here.recipes.names()}:
        return []
    subjects: list[tuple[Kind, str]] = [("plugin", name)]
    subjects += [
        (entry.kind, entry.full_name)
        for entry in here.registry.entries
        if entry.plugin == name and entry.kind != "trainer"
    ]
    return [*subjects, *(("recipe", f"{name}/{recipe}") for owner, recipe in here.recipes.names() if owner == name)]


def _of_name(name: str, here: Catalog) -> list[tuple[Kind, str]]:
    subjects: list[tuple[Kind, str]] = [
        (entry.kind, entry.full_name) for entry in here.kinds_of(name) if entry.kind != "trainer"
    ]
    if any(name in (recipe, f"{owner}/{recipe}") for owner, recipe in here.recipes.names()):
        subjects.append(("recipe", name))
    return subjects
