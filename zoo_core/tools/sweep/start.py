"""Create a sweep, resume one, or open one to read it: its folder, its plan and its study."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile, BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.paths import new_path
from zoo_core.tools.sweep.check import check_plan
from zoo_core.tools.sweep.folder import SWEEPS, SweepFolder, default_storage, find_sweep
from zoo_core.tools.sweep.plan import Plan, plan
from zoo_core.tools.sweep.study import Study


@dataclass(frozen=True)
class Sweep:
    """A sweep on disk."""

    folder: SweepFolder
    plan: Plan
    study: Study


def create_sweep(
    catalog: Catalog,
    recipe: str,
    overrides: Iterable[str],
    folder: Path | None = None,
    storage: str | None = None,
    name: str | None = None,
    **options: Any,
) -> Sweep:
    """Create a sweep; if the shared ``storage`` already has it, create another folder that works on the same trials.

    Raises:
        ZooError: for an invalid argument, before anything is written.
    """
    if name is not None and storage is None:
        raise BadSetting("--name names a sweep in a shared storage, but --storage is not given.", "Leave it out.")
    planned = check_plan(plan(catalog.recipe(recipe), overrides, **options), catalog)
    sweep_folder = SweepFolder(folder or new_path(SWEEPS, planned.recipe.name))
    if sweep_folder.path.exists():
        raise sweep_folder.taken_error()
    study_name = name or planned.recipe.name
    shared = _open_shared(storage, study_name, planned) if storage else None
    sweep_folder.create()
    try:
        study = shared or Study(default_storage(sweep_folder), study_name, planned)
        sweep_folder.write(planned, study_name, storage)
    except BaseException:
        shutil.rmtree(sweep_folder.path)
        raise
    return Sweep(sweep_folder, planned, study)


def resume_sweep(given: str, storage: str | None, trials: int | None, device: str | None) -> Sweep:
    """Open the sweep in the folder ``given``, or the ``last`` one, to resume it; ``trials`` may raise their number.

    Raises:
        ZooError: if there is none.
    """
    sweep = open_sweep(given, storage, trials)
    if trials is not None:
        if trials < sweep.study.count():
            raise BadSetting(
                f"--trials is {trials}, but {sweep.study.count()} have already started.", "Give more, or leave it out."
            )
        stored = sweep.folder.read()[2]
        with sweep.folder.exclusive():
            sweep.folder.write(sweep.plan, sweep.study.name, stored)
    if device:
        recipe = sweep.plan.recipe.with_overrides([f"run.device={device}"])
        overrides = (*sweep.plan.overrides, f"run.device={device}")
        return replace(sweep, plan=replace(sweep.plan, recipe=recipe, overrides=overrides))
    return sweep


def open_sweep(given: str, storage: str | None, trials: int | None = None) -> Sweep:
    """Open the sweep in the folder ``given``, or the ``last`` one, without writing anything.

    Raises:
        ZooError: if there is none, or its storage cannot be opened.
    """
    folder = find_sweep(given)
    planned, study_name, stored = folder.read(trials)
    if stored is None and storage is not None:
        raise BadSetting(
            f"the sweep in {folder.path} stores its trials there, so --storage does not apply.", "Leave it out."
        )
    if stored is None and not folder.database.is_file():
        raise BadFile(f"{folder.database}, which stores the trials, is missing.", "Restore it, or start a new sweep.")
    if stored is not None and storage is None and ":***@" in stored:
        raise BadSetting(
            f"the storage of the sweep is {stored}, and its password is not stored.", "Give it with --storage URL."
        )
    return Sweep(folder, planned, Study(storage or stored or default_storage(folder), study_name, planned))


def _open_shared(storage: str, name: str, planned: Plan) -> Study:
    study = Study(storage, name, planned)
    study.check_definition()
    return study
