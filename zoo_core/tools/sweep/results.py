"""The results of a sweep: the best trial, rows of a table, and ``trials.csv``."""

from __future__ import annotations

import csv
import io
import os
import shlex
from collections.abc import Sequence
from typing import Any

from zoo_core.files import write_atomically
from zoo_core.tools.sweep.folder import SweepFolder
from zoo_core.tools.sweep.plan import Plan
from zoo_core.tools.sweep.space import as_overrides, value_of
from zoo_core.tools.sweep.study import Trial


def best_of(trials: Sequence[Trial], plan: Plan) -> Trial | None:
    """The completed trial with the best value, the first one in case of a tie."""
    done = [trial for trial in trials if trial.state == "done" and trial.value is not None]
    sign = 1 if plan.settings.minimize else -1
    return min(done, key=lambda trial: sign * (trial.value or 0.0), default=None)


def overrides_of(trial: Trial, plan: Plan) -> str:
    """The arguments of ``zoo run`` that repeat the trial."""
    fixed = [override for override in plan.overrides if not override.startswith(("run.device=", "summary="))]
    return shlex.join([plan.recipe.name, *fixed, *as_overrides(trial.params)])


def location_of(trial: Trial, folder: SweepFolder) -> str:
    """The folder of the trial's run; ``machine:path`` if it lies in the sweep folder of another machine."""
    if trial.folder_id == folder.identity:
        return str(folder.trial(trial.number).path)
    return str(trial.notes.get("folder", ""))


def as_dict(trial: Trial, folder: SweepFolder) -> dict[str, Any]:
    """Everything known about a trial; can be written as JSON."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "value": trial.value,
        "settings": {key: value_of(text) for key, text in trial.params.items()},
        "step": trial.notes.get("step"),
        "seconds": trial.notes.get("seconds"),
        "folder": location_of(trial, folder),
        "metrics": trial.notes.get("metrics", {}),
        "intermediate_values": {str(step): value for step, value in trial.intermediate_values.items()},
        "reason": trial.notes.get("reason"),
    }


def as_rows(trials: Sequence[Trial], plan: Plan, folder: SweepFolder) -> list[dict[str, str]]:
    """The rows of the table on the terminal; ``*`` marks the best trial."""
    best = best_of(trials, plan)
    return [
        {
            "trial": f"{trial.number}{' *' if trial is best else ''}",
            "state": trial.state,
            plan.settings.name: "" if trial.value is None else f"{trial.value:.4g}",
            **{key: trial.params.get(key, "") for key in plan.space},
            "steps": f"{trial.notes['step']:,}" if "step" in trial.notes else "",
            "time": _duration(trial.notes.get("seconds")),
            "folder": location_of(trial, folder).removeprefix(f"{folder.path}{os.sep}"),
        }
        for trial in trials
    ]


def write_table(folder: SweepFolder, trials: Sequence[Trial], plan: Plan) -> None:
    """Write ``trials.csv``: a row for each trial, numbers in full precision."""
    text = io.StringIO()
    columns = ("trial", "state", "value", *plan.space, "step", "seconds", "folder", "reason")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for trial in trials:
        cells = {**as_dict(trial, folder), **trial.params}
        writer.writerow(["" if cells.get(column) is None else cells[column] for column in columns])
    write_atomically(folder.table, text.getvalue())


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
