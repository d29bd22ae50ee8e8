"""What came of a sweep's trials: rows, the best of them, and ``trials.csv``."""

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
from zoo_core.tools.sweep.space import as_words, value_of
from zoo_core.tools.sweep.study import Trial


def best_of(trials: Sequence[Trial], plan: Plan) -> Trial | None:
    """The trial that is done and has the best value, the first of equals."""
    done = [trial for trial in trials if trial.state == "done" and trial.value is not None]
    sign = 1 if plan.settings.lowest else -1
    return min(done, key=lambda trial: sign * (trial.value or 0.0), default=None)


def words_of(trial: Trial, plan: Plan) -> str:
    """What to type behind ``zoo run`` to train as the trial did."""
    fixed = [word for word in plan.words if not word.startswith(("run.device=", "summary="))]
    return shlex.join([plan.recipe.name, *fixed, *as_words(trial.texts)])


def place_of(trial: Trial, folder: SweepFolder) -> str:
    """The folder of the trial's run; of one that another machine's folder of the sweep holds, as ``machine:path``."""
    if trial.home == folder.identity:
        return str(folder.trial(trial.number).path)
    return str(trial.notes.get("folder", ""))


def as_plain(trial: Trial, folder: SweepFolder) -> dict[str, Any]:
    """All that is known of a trial, as JSON has it."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "value": trial.value,
        "settings": {key: value_of(key, text) for key, text in trial.texts.items()},
        "step": trial.notes.get("step"),
        "seconds": trial.notes.get("seconds"),
        "folder": place_of(trial, folder),
        "metrics": trial.notes.get("metrics", {}),
        "reported": {str(step): value for step, value in trial.reported.items()},
        "reason": trial.notes.get("reason"),
    }


def as_rows(trials: Sequence[Trial], plan: Plan, folder: SweepFolder) -> list[dict[str, str]]:
    """The table on the terminal; the best is marked."""
    best = best_of(trials, plan)
    return [
        {
            "trial": f"{trial.number}{' *' if trial is best else ''}",
            "state": trial.state,
            plan.settings.name: "" if trial.value is None else f"{trial.value:.4g}",
            **{key: trial.texts.get(key, "") for key in plan.space},
            "steps": f"{trial.notes['step']:,}" if "step" in trial.notes else "",
            "time": _duration(trial.notes.get("seconds")),
            "folder": place_of(trial, folder).removeprefix(f"{folder.path}{os.sep}"),
        }
        for trial in trials
    ]


def write_table(folder: SweepFolder, trials: Sequence[Trial], plan: Plan) -> None:
    """``trials.csv``: a line for each trial, numbers with all their digits."""
    text = io.StringIO()
    columns = ("trial", "state", "value", *plan.space, "step", "seconds", "folder", "reason")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for trial in trials:
        plain = as_plain(trial, folder)
        cells = {**plain, **trial.texts}
        writer.writerow(["" if cells.get(column) is None else cells[column] for column in columns])
    write_atomically(folder.table, text.getvalue())


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
