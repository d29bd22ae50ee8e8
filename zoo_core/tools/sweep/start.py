"""Create a sweep, resume one, or open one to read it: its folder, its plan and its study."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

from zoo_core.config.command_line import zoo_command
from zoo_core.errors import BadFile, BadSetting
from zoo_core.files import set_aside
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.paths import new_path
from zoo_core.tools.sweep.check import check_plan
from zoo_core.tools.sweep.folder import SWEEPS, SweepFolder, default_storage, find_sweep, without_password
from zoo_core.tools.sweep.plan import Plan, plan
from zoo_core.tools.sweep.records import lost_database, read_records
from zoo_core.tools.sweep.study import Study, Trial, holds_study


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
    """Open the sweep in the folder ``given``, or the ``last`` one; a database that is lost is built again.

    One that several machines share is not, since each of them has only its own trials.

    Raises:
        ZooError: if there is none, or its storage cannot be opened or has lost it.
    """
    folder = find_sweep(given)
    planned, study_name, stored = folder.read(trials)
    _check_storage(folder, storage, stored)
    if stored is None and (why := lost_database(folder.database, study_name)):
        return _from_folders(folder, planned, study_name, why)
    if stored is not None and (why := _lost_storage(storage or stored, study_name)):
        known, shows = len(read_records(folder, planned)), zoo_command(f"sweep --show {quote(str(folder.path))}")
        raise BadFile(
            f"the storage {without_password(storage or stored)} {why}, and this folder has only the {known} trials of "
            "this machine.",
            f"Restore the storage, or start a new sweep. `{shows}` shows the trials of this folder.",
        )
    return Sweep(folder, planned, Study(storage or stored or default_storage(folder), study_name, planned))


def recorded(given: str, storage: str | None) -> tuple[SweepFolder, Plan, list[Trial]]:
    """The trials of a sweep as they are, without writing anything: from its storage, or else from their folders.

    Raises:
        ZooError: if there is no sweep, or its shared storage cannot be opened.
    """
    folder = find_sweep(given)
    planned, study_name, stored = folder.read()
    _check_storage(folder, storage, stored)
    if stored is None and (why := lost_database(folder.database, study_name)):
        warnings.warn(
            f"{folder.database} {why}; its trials are read from their folders; `zoo sweep --resume` builds it again.",
            stacklevel=2,
        )
        return folder, planned, read_records(folder, planned)
    where = storage or stored or default_storage(folder)
    if stored is not None and (why := _lost_storage(where, study_name)):
        warnings.warn(
            f"the storage {without_password(where)} {why}; shown are the trials of this machine, from their folders.",
            stacklevel=2,
        )
        return folder, planned, read_records(folder, planned)
    return folder, planned, Study(where, study_name, planned, creates=False).trials()


def _from_folders(folder: SweepFolder, planned: Plan, name: str, why: str) -> Sweep:
    """The sweep with a new database that holds what the folders of its trials record."""
    with folder.exclusive():
        kept = f" The file is kept as {set_aside(folder.database).name}." if folder.database.exists() else ""
        study = Study(default_storage(folder), name, planned)
        found = {trial.number: trial for trial in read_records(folder, planned)}
        for number in range(max(found, default=-1) + 1):
            lost = Trial(number, "failed", {}, None, folder.identity, {"reason": "its folder and its record are lost"})
            study.insert(found.get(number, lost))
    warnings.warn(f"{folder.database} {why}; it was built again from the folders of the trials.{kept}", stacklevel=2)
    return Sweep(folder, planned, study)


def _lost_storage(storage: str, study: str) -> str:
    """Why a storage that machines share no longer has a sweep, such as "is empty"; "" if it has."""
    if storage.startswith("sqlite:"):
        return lost_database(Path(urlsplit(storage).path.removeprefix("/")), study)
    return "" if holds_study(storage, study) else f"has no sweep '{study}'"


def _check_storage(folder: SweepFolder, storage: str | None, stored: str | None) -> None:
    if stored is None and storage is not None:
        raise BadSetting(
            f"the sweep in {folder.path} stores its trials there, so --storage does not apply.", "Leave it out."
        )
    if stored is not None and storage is None and ":***@" in stored:
        raise BadSetting(
            f"the storage of the sweep is {stored}, and its password is not stored.", "Give it with --storage URL."
        )


def _open_shared(storage: str, name: str, planned: Plan) -> Study:
    study = Study(storage, name, planned)
    study.check_definition()
    return study
