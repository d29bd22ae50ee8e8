"""A sweep's folder and its study: made, found again, or opened to be looked at."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile, BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.paths import new_path
from zoo_core.tools.sweep.folder import SWEEPS, SweepFolder, database_of, find_sweep
from zoo_core.tools.sweep.plan import Plan, checked, plan
from zoo_core.tools.sweep.study import Study


@dataclass(frozen=True)
class Sweep:
    """A sweep that is on disk."""

    folder: SweepFolder
    plan: Plan
    study: Study


def begun(
    catalog: Catalog,
    recipe: str,
    words: Iterable[str],
    folder: Path | None = None,
    storage: str | None = None,
    name: str | None = None,
    **options: Any,
) -> Sweep:
    """A new sweep; or, in a storage that has it, a further folder of the same one.

    Raises:
        ZooError: for a mistake, before anything is written.
    """
    if name is not None and storage is None:
        raise BadSetting("--name is that of a sweep in a shared --storage, which is not given.", "Leave it out.")
    planned = checked(plan(catalog.recipe(recipe), words, **options), catalog)
    place = SweepFolder(folder or new_path(SWEEPS, planned.recipe.name))
    if place.path.exists():
        raise place.taken()
    called = name or planned.recipe.name
    shared = _joined(storage, called, planned) if storage else None
    place.create()
    try:
        study = shared or Study(database_of(place), called, planned)
        place.write(planned, called, storage)
    except BaseException:
        shutil.rmtree(place.path)
        raise
    return Sweep(place, planned, study)


def resumed(given: str, storage: str | None, trials: int | None, device: str | None) -> Sweep:
    """The sweep in the folder ``given``, or the last one, to be gone on with; perhaps with more trials.

    Raises:
        ZooError: if there is none.
    """
    found = opened(given, storage, trials)
    if trials is not None:
        if trials < found.study.count():
            raise BadSetting(
                f"--trials is {trials}, but {found.study.count()} were begun already.", "Give more, or leave it out."
            )
        kept = found.folder.read()[2]
        with found.folder.alone():
            found.folder.write(found.plan, found.study.name, kept)
    if device:
        recipe = found.plan.recipe.with_overrides([f"run.device={device}"])
        words = (*found.plan.words, f"run.device={device}")
        return replace(found, plan=replace(found.plan, recipe=recipe, words=words))
    return found


def opened(given: str, storage: str | None, trials: int | None = None) -> Sweep:
    """The sweep in the folder ``given``, or the last one; nothing is written.

    Raises:
        ZooError: if there is none, or its storage is not to be had.
    """
    place = find_sweep(given)
    planned, called, kept = place.read(trials)
    if kept is None and storage is not None:
        raise BadSetting(
            f"the sweep in {place.path} keeps its study there, so --storage cannot be given.", "Leave it out."
        )
    if kept is None and not place.database.is_file():
        raise BadFile(f"{place.database} is missing, which holds the trials.", "Bring it back, or begin anew.")
    if kept is not None and storage is None and ":***@" in kept:
        raise BadSetting(
            f"the sweep's storage is {kept}, and its password is not kept.", "Give it again with --storage URL."
        )
    return Sweep(place, planned, Study(storage or kept or database_of(place), called, planned))


def _joined(storage: str, name: str, planned: Plan) -> Study:
    study = Study(storage, name, planned)
    study.check_same()
    return study
