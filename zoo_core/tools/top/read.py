"""What a run's folder says of the run. A few kilobytes are read, however long it is."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.sessions import read_sessions, state_of

_TAIL = 16 * 1024  # bytes of metrics.jsonl, some hundred lines
_DEPTH = 3  # folders below the one that is named


@dataclass(frozen=True)
class Seen:
    """One run, as it is at this moment."""

    folder: str
    state: str
    """running, done, failed, stopped, killed, unknown, or damaged."""
    recipe: str = ""
    step: int | None = None
    steps: int | None = None
    rate: float | None = None
    """Steps a second on average since the process began to train."""
    left: float | None = None
    """Seconds to the last step at that rate; only of a run that is under way."""
    losses: dict[str, list[float]] = field(default_factory=dict)
    """The last logged values of each metric with "loss" in its name, oldest first."""
    written: float = 0.0
    """When it last wrote something, in seconds since 1970."""
    note: str = ""


def runs_in(roots: Iterable[Path]) -> list[Seen]:
    """The runs in and below ``roots``, those under way first, then the one that last wrote something."""
    seen = [read_run(path) for root in roots for path in _folders(root, _DEPTH)]
    return sorted(seen, key=lambda run: (run.state != "running", -run.written))


def read_run(path: Path) -> Seen:
    """The run in the folder ``path``. Nothing in it raises: what can't be read is said in ``note``."""
    place = RunFolder(path)
    under_way = place.is_locked()
    written = _written(place)
    lines, note = _tail(place.metrics)
    recipe, step = _recipe(place), _step(lines)
    try:
        sessions = read_sessions(place.sessions)
    except BadFile:
        return Seen(str(path), "damaged", recipe, written=written, note="sessions.json can't be read")
    state = state_of(sessions, under_way)
    note = note or state.why
    if not sessions:
        return Seen(str(path), state.word, recipe, step, losses=_losses(lines), written=written, note=note)
    now = sessions[-1]
    step = max(now.step, step or 0) if state.word in ("running", "killed") else now.step
    rate = _rate(step - now.from_step, written - now.began.timestamp())
    left = (now.steps - step) / rate if rate and state.word == "running" else None
    return Seen(str(path), state.word, recipe, step, now.steps, rate, left, _losses(lines), written, note)


def _folders(root: Path, depth: int) -> Iterator[Path]:
    try:
        inside = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return
    if {entry.name for entry in inside} & {"config.yaml", "sessions.json", "environment.json"}:
        yield root
    elif depth:
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                yield from _folders(Path(entry.path), depth - 1)


def _tail(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The last whole lines, and what is wrong with them."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = file.read()
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"metrics.jsonl can't be read: {error.strerror}"
    whole = text.split(b"\n")[1 if size > _TAIL else 0 : -1]  # the last may be half written
    found, wrong = [], 0
    for line in whole:
        try:
            value = json.loads(line)
            found.append({**value, "step": int(value["step"])})
        except (ValueError, KeyError, TypeError):
            wrong += 1
    return found, f"metrics.jsonl: {wrong} of the last lines can't be read" if wrong else ""


def _step(lines: list[dict[str, Any]]) -> int | None:
    return int(lines[-1]["step"]) if lines else None


def _losses(lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    losses: dict[str, list[float]] = {}
    for line in lines:
        if "evaluation" not in line:
            for name, value in line.items():
                if "loss" in name and "/" not in name and isinstance(value, int | float) and math.isfinite(value):
                    losses.setdefault(name, []).append(float(value))
    return losses


def _rate(steps: int, seconds: float) -> float | None:
    return steps / seconds if steps > 0 and seconds > 0 else None


def _written(place: RunFolder) -> float:
    times = []
    for path in (place.metrics, place.sessions, place.config):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return times[0] if times else time.time()


def _recipe(place: RunFolder) -> str:
    """From the first line of ``config.yaml``, which names it; YAML is slow to read."""
    try:
        with place.config.open(encoding="utf-8") as file:
            key, _, name = file.readline().strip().partition(": ")
    except (OSError, UnicodeDecodeError):
        return ""
    return name if key == "recipe" else ""
