"""The checks that apply to a plugin, or to one of its models, datasets and recipes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, cast

from zoo_core.errors import BadSetting, UnknownName, ZooError, did_you_mean, raised
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.entry import BUILT_IN, KINDS, Entry
from zoo_core.registry.family import Family
from zoo_core.registry.resolve import resolve
from zoo_core.registry.unknown_name import explained
from zoo_core.testing import (
    averaging_checks,
    capture_checks,
    dataset_checks,
    loading_checks,
    model_checks,
    plugin_checks,
    process_checks,
    recipe_checks,
)
from zoo_core.testing.check import Check, Failed, Kind, Skip, Subject
from zoo_core.testing.component_settings import refuse_unsuitable
from zoo_core.testing.recipe_checks import suitable
from zoo_core.training.error_attribution import is_from_outside

State = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """Result of a check.

    Attributes
    ----------
    state : {"passed", "failed", "skipped"}
        Whether the check passed. It is skipped where it does not apply.
    why : str
        Reason for a failure or a skip, otherwise empty.
    seconds : float
        Duration of the check.
    """

    state: State
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Case:
    """A check, applied to one plugin, model, dataset or recipe.

    `cases` returns them. ``str(case)`` is a short identifier.

    Attributes
    ----------
    check : Check
        The check; ``check.name``, ``check.guards`` and ``check.hint`` describe it.
    subject : Subject
        What is checked; ``subject.kind`` and ``subject.name``.
    """

    check: Check
    subject: Subject = field(repr=False)

    def __str__(self) -> str:
        return f"{self.subject.kind}-{self.subject.name}-{self.check.name}"

    def run(self) -> Outcome:
        """Run the check.

        Returns
        -------
        Outcome
            The result. An exception of the plugin other than `Skip` is a failure and is not propagated.
        """
        start = time.perf_counter()
        try:
            with _without_warnings():  # for example that a subset of the data is used
                self.check.function(self.subject)
        except Skip as skip:
            return Outcome("skipped", str(skip), time.perf_counter() - start)
        except Failed as failed:
            return Outcome("failed", str(failed), time.perf_counter() - start)
        except BaseException as error:  # also SystemExit, which would end all checks
            if is_from_outside(error):
                raise
            return Outcome("failed", raised(error), time.perf_counter() - start)
        return Outcome("passed", "", time.perf_counter() - start)


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def all_checks() -> list[Check]:
    """Return all checks, in the order of their definition."""
    modules = (
        dataset_checks,
        loading_checks,
        model_checks,
        plugin_checks,
        recipe_checks,
        averaging_checks,
        capture_checks,
        process_checks,
    )
    return [one for module in modules for one in vars(module).values() if isinstance(one, Check)]


def cases(name: str, overrides: Iterable[str] = (), catalog: Catalog | None = None) -> list[Case]:
    """Return the checks of a plugin, or of one model, dataset or recipe.

    Parameters
    ----------
    name : str
        Name of a plugin, model, dataset or recipe. The checks of a plugin include those of everything it registers; of
        a family of models, those of the members that its recipes use, or of the first.
    overrides : iterable of str, default ()
        Overrides ``key=value`` for each recipe that is checked, and settings of a model or a dataset that is checked
        by itself: ``folder=DIR`` or ``dataset.folder=DIR``.
    catalog : Catalog, optional
        Where to look up the name. By default the catalog of the installed plugins.

    Returns
    -------
    list of Case
        The checks, in a fixed order.

    Raises
    ------
    UnknownName
        If nothing has this name.
    BadSetting
        If an override suits none of the recipes.

    See Also
    --------
    conformance : The checks as a pytest test.

    Examples
    --------
    >>> for case in cases("my-plugin"):  # doctest: +SKIP
    ...     print(case, case.run().state)
    """
    here = catalog or Catalog()
    words = tuple(overrides)
    subjects = _of_plugin(name, here) or _of_name(name, here)
    if not subjects:
        if reason := here.registry.why_unknown(name):
            raise reason
        known = [info.name for info in here.plugins.infos]
        known += [entry.name for kind in KINDS for entry in here.registry.of_kind(kind) if _is_checked(entry)]
        known += [one for _, one in here.recipes.names()]
        unknown = UnknownName(
            f"there is no plugin, model, dataset or recipe '{name}'.", did_you_mean(name, known, "See `zoo list`.")
        )
        raise explained(unknown, name, here.plugins)
    for kind, thing in subjects:
        if kind == "recipe":
            with suppress(ZooError):  # which its checks report
                here.recipe(thing)  # warns if the working folder overrides it
    with _without_warnings():
        _refuse_unsuitable(name, words, subjects, here)
    return [
        Case(one, Subject(kind, thing, here, words))
        for kind, thing in subjects
        for one in all_checks()
        if one.kind == kind
    ]


def _refuse_unsuitable(name: str, words: Sequence[str], subjects: Sequence[tuple[Kind, str]], here: Catalog) -> None:
    """Raise BadSetting for overrides that suit no recipe and no component, which each check would report again."""
    recipes = [thing for kind, thing in subjects if kind == "recipe"]
    for word in words:
        if "=" not in word:
            raise BadSetting(
                f"'{word}' is no override: the checks are those of one name, here '{name}'.",
                f"Write overrides as key=value, or check '{word}' by itself.",
            )
    if words and not recipes:
        refuse_unsuitable(name, words, subjects, here)
    errors = [_error_of(recipe, words, here) for recipe in recipes if words]
    if errors and errors[0] and all(errors):
        raise errors[0]


def _error_of(recipe: str, words: Sequence[str], here: Catalog) -> BadSetting | None:
    """The error of a recipe with these overrides that it does not have without them."""
    try:
        found = here.recipe(recipe)
        resolve(here.recipe(recipe, *suitable(found, words)), here)
    except BadSetting as error:
        with suppress(ZooError):
            resolve(here.recipe(recipe), here)
            return error
    except ZooError:  # which its checks report
        return None
    return None


def _of_plugin(name: str, here: Catalog) -> list[tuple[Kind, str]]:
    owners = {info.name for info in here.plugins.infos} | {entry.plugin for entry in here.registry.entries}
    owners = owners - {BUILT_IN} | {family.template.plugin for family in here.registry.families}
    if name not in owners | {owner for owner, _ in here.recipes.names()}:
        return []
    subjects: list[tuple[Kind, str]] = [("plugin", name)]
    subjects += [
        (cast(Kind, entry.kind), entry.full_name)
        for entry in here.registry.entries
        if entry.plugin == name and _is_checked(entry)
    ]
    for family in here.registry.families:
        if family.template.plugin == name:
            subjects += [("model", entry.full_name) for entry in _representatives(family, here)]
    return [*subjects, *(("recipe", f"{name}/{recipe}") for owner, recipe in here.recipes.names() if owner == name)]


def _representatives(family: Family, here: Catalog) -> list[Entry]:
    """The members that recipes of the plugin use, or else the first: a family may have more than a thousand."""
    used: dict[str, Entry] = {}
    for owner, name in here.recipes.names():
        if owner == family.template.plugin:
            with suppress(ZooError):  # which the checks of the recipe report
                entry = here.find("model", here.recipe(f"{owner}/{name}").component("model"))
                used |= {entry.full_name: entry} if entry.target == family.template.target and entry.member else {}
    return list(used.values()) or family.entries()[:1]


def _of_name(name: str, here: Catalog) -> list[tuple[Kind, str]]:
    subjects: list[tuple[Kind, str]] = [
        (cast(Kind, entry.kind), entry.full_name) for entry in here.kinds_of(name) if _is_checked(entry)
    ]
    if any(name in (recipe, f"{owner}/{recipe}") for owner, recipe in here.recipes.names()):
        subjects.append(("recipe", name))
    return subjects


def _is_checked(entry: Entry) -> bool:
    """Whether there are checks of its kind; trainers, optimizers and schedules are checked in recipes."""
    return entry.kind in ("model", "dataset")
