"""Checks with a name, what each guards and a cure; and the cases in which they apply to a plugin's things."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from zoo_core.catalog import Catalog
from zoo_core.errors import UnknownName, did_you_mean

Kind = Literal["plugin", "model", "dataset", "recipe"]
State = Literal["passed", "failed", "skipped"]


class Skip(Exception):
    """Raised by a check that does not apply; says why."""


class Failed(AssertionError):
    """Raised by a check that does not hold; says what was seen."""


@dataclass(frozen=True)
class Subject:
    """What is checked: a plugin, or a model, data set or recipe. ``overrides`` are laid over every recipe."""

    kind: Kind
    name: str
    catalog: Catalog
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One promise. ``guards`` says what goes wrong where it is broken, ``cure`` what to do."""

    name: str
    kind: Kind
    guards: str
    cure: str
    function: Callable[[Subject], None]


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
                warnings.simplefilter("ignore", UserWarning)  # that data are made do with, say, is a run's concern
                self.check.function(self.subject)
        except Skip as skip:
            return Outcome("skipped", str(skip), time.perf_counter() - start)
        except Failed as failed:
            return Outcome("failed", str(failed), time.perf_counter() - start)
        except Exception as error:
            return Outcome("failed", f"{type(error).__name__}: {error}", time.perf_counter() - start)
        return Outcome("passed", "", time.perf_counter() - start)


_ALL: list[Check] = []


def all_checks() -> list[Check]:
    """Every check there is, in the order of its writing."""
    from zoo_core.testing import dataset_checks, model_checks, plugin_checks, recipe_checks  # noqa: F401  # they register

    return _ALL


def check(kind: Kind, guards: str, cure: str) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Make a function of a subject a check, called as the function is."""

    def register(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        _ALL.append(Check(function.__name__.replace("_", "-"), kind, guards, cure, function))
        return function

    return register


def require(holds: bool, seen: str) -> None:
    """Fail a check that does not hold, in words that say what was seen."""
    if not holds:
        raise Failed(seen)


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
            f"nothing that can be checked is called '{name}'.", did_you_mean(name, known, "See `zoo list`.")
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


def settings_of(subject: Subject) -> dict[str, Any]:
    """No settings: a thing is checked with its defaults. One that needs some is left to its recipes."""
    from zoo_core.settings import describe

    loaded = subject.catalog.find(subject.kind, subject.name).load()  # type: ignore[arg-type]
    needed = [info.name for info in describe(loaded.Config) if info.required]
    if needed:
        raise Skip(f"it needs {', '.join(needed)}, which only its user knows")
    return {}
