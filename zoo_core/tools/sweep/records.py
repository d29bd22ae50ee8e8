"""What the folder of each trial says of it, from which the database of the sweep is built again if it is lost."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from zoo_core.config.recipe import read_config
from zoo_core.errors import ZooError
from zoo_core.files import read_json, write_atomically
from zoo_core.tools.sweep.folder import SweepFolder
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.space import Choices, value_of
from zoo_core.tools.sweep.study import Trial

_NAME = "trial.json"
_FOLDER = re.compile(r"trial-(\d{4,})")
_STATES = ("done", "pruned", "failed")


def write_record(folder: SweepFolder, trial: Trial) -> None:
    """Write the result of a trial that has ended into its folder."""
    values = {
        "state": trial.state,
        "value": trial.value,
        "settings": dict(trial.params),
        "notes": dict(trial.notes),
        "intermediate_values": {str(step): value for step, value in trial.intermediate_values.items()},
    }
    path = folder.trial(trial.number).path
    path.mkdir(exist_ok=True)
    write_atomically(path / _NAME, json.dumps(values, indent=2) + "\n")


def read_records(folder: SweepFolder, plan: Plan) -> list[Trial]:
    """The trials of this folder by their number; one that has not ended, or whose record is damaged, is running."""
    numbers = sorted(int(found[1]) for one in folder.path.iterdir() if (found := _FOLDER.fullmatch(one.name)))
    return [trial for number in numbers if (trial := _record(folder, plan, number)) is not None]


def lost_database(path: Path, study: str) -> str:
    """Why the database in a sweep's folder can't be used, such as "is empty"; "" if it can. Writes nothing."""
    if not path.is_file():
        return "is missing"
    if not path.stat().st_size:
        return "is empty"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            (checked,) = opened.execute("PRAGMA quick_check(1)").fetchone()
            names = [name for (name,) in opened.execute("SELECT study_name FROM studies")]
            opened.execute("SELECT count(*) FROM trials").fetchone()
    except sqlite3.Error as error:
        return "" if "locked" in str(error) else f"is damaged ({error})"
    if checked != "ok":
        return f"is damaged ({checked.splitlines()[0]})"
    return "" if study in names else f"has no sweep '{study}'"


def _record(folder: SweepFolder, plan: Plan, number: int) -> Trial | None:
    run = folder.trial(number)
    try:
        found: Any = read_json(run.path / _NAME)
        settings, notes, values = found["settings"], found["notes"], found["intermediate_values"]
        if found["state"] in _STATES and all(isinstance(one, dict) for one in (settings, notes, values)):
            steps = {int(step): float(value) for step, value in values.items()}
            value = None if found["value"] is None else float(found["value"])
            return Trial(number, found["state"], settings, value, folder.identity, notes, steps)
    except (OSError, LookupError, TypeError, ValueError):  # it has not ended, or the record is damaged
        pass
    try:
        config = read_config(run.config)
    except ZooError:  # it had not begun
        return None
    params = {key: _text(axis, _at(config.values, key)) for key, axis in plan.space.items()}
    return Trial(number, "running", params, None, folder.identity)


def _at(values: Mapping[str, Any], key: str) -> Any:
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(axis: Any, value: Any) -> str:
    """A value as it is given on the command line: the choice that it is of."""
    choices = axis.texts if isinstance(axis, Choices) else ()
    return next((text for text in choices if value_of(text) == value), repr(value))
