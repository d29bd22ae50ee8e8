"""The status of a run, read from its folder. Only a few kilobytes are read, whatever the length of the run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.metrics import parse_line
from zoo_core.runs.paths import run_folders
from zoo_core.runs.sessions import read_sessions, state_of

_TAIL = 16 * 1024  # bytes of metrics.jsonl, a few hundred lines


@dataclass(frozen=True)
class RunStatus:
    """The current status of one run."""

    folder: str
    state: str
    """running, done, failed, stopped, killed, unknown, or damaged."""
    recipe: str = ""
    step: int | None = None
    steps: int | None = None
    steps_per_second: float | None = None
    """Average since the process started to train."""
    seconds_left: float | None = None
    """Estimated time to the last step at that rate; None unless the run is running."""
    losses: dict[str, list[float]] = field(default_factory=dict)
    """The last logged values of each metric with "loss" in its name, oldest first."""
    last_written: float = 0.0
    """Time of the last write to the folder, in seconds since the epoch."""
    note: str = ""


def runs_in(roots: Iterable[Path]) -> list[RunStatus]:
    """The runs in and below ``roots``, running ones first, then by the time of the last write."""
    found = [read_run(path) for root in roots for path in run_folders(root)]
    return sorted(found, key=lambda run: (run.state != "running", -run.last_written))


def read_run(path: Path) -> RunStatus:
    """The status of the run in the folder ``path``. It never raises: ``note`` names a file that can't be read."""
    folder = RunFolder(path)
    running = folder.is_locked()
    written = _last_written(folder)
    lines, note = _tail(folder.metrics)
    recipe, step = _recipe(folder), _step(lines)
    try:
        sessions = read_sessions(folder.sessions)
    except BadFile:
        return RunStatus(str(path), "damaged", recipe, last_written=written, note="sessions.json can't be read")
    state = state_of(sessions, running)
    note = note or state.why
    if not sessions:
        return RunStatus(str(path), state.word, recipe, step, losses=_losses(lines), last_written=written, note=note)
    current = sessions[-1]
    step = max(current.step, step or 0) if state.word in ("running", "killed") else current.step
    rate = _rate(step - current.from_step, written - current.began.timestamp())
    left = (current.steps - step) / rate if rate and state.word == "running" else None
    return RunStatus(str(path), state.word, recipe, step, current.steps, rate, left, _losses(lines), written, note)


def _tail(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The last complete lines, and a note if some of them can't be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = file.read()
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"metrics.jsonl can't be read: {error.strerror}"
    complete = text.split(b"\n")[1 if size > _TAIL else 0 : -1]  # the last line may be incomplete
    parsed = [parse_line(line) for line in complete]
    found = [values for values in parsed if values is not None]
    damaged = len(parsed) - len(found)
    return found, f"metrics.jsonl: {damaged} of the last lines can't be read" if damaged else ""


def _step(lines: list[dict[str, Any]]) -> int | None:
    return int(lines[-1]["step"]) if lines else None


def _losses(lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    losses: dict[str, list[float]] = {}
    for line in lines:
        if "evaluation" not in line:
            for name, value in line.items():
                if "loss" in name and "/" not in name and value is not None:
                    losses.setdefault(name, []).append(float(value))
    return losses


def _rate(steps: int, seconds: float) -> float | None:
    return steps / seconds if steps > 0 and seconds > 0 else None


def _last_written(folder: RunFolder) -> float:
    times = []
    for path in (folder.metrics, folder.sessions, folder.config):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return times[0] if times else time.time()


def _recipe(folder: RunFolder) -> str:
    """The name of the recipe, from the first line of ``config.yaml``: parsing the YAML would be slow."""
    try:
        with folder.config.open(encoding="utf-8") as file:
            key, _, name = file.readline().strip().partition(": ")
    except (OSError, UnicodeDecodeError):
        return ""
    return name if key == "recipe" else ""
