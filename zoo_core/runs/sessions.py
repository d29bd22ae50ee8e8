"""``sessions.json``: each time that a run was at work; ``zoo_core.loggers.sessions`` writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile, one_line

_ENDS = ("running", "done", "stopped", "failed")


@dataclass(frozen=True)
class Session:
    """One time that a run was at work, from its beginning, or a resumption, until it ended."""

    began: datetime
    from_step: int
    steps: int
    """Steps of the whole run."""
    step: int
    """The last that was done."""
    seconds: float
    peak_memory: int
    """In bytes, the first process's."""
    ended: str
    """``running``, ``done``, ``stopped: BY`` or ``failed: WHY``."""

    def as_entry(self) -> dict[str, Any]:
        return {**vars(self), "began": self.began.isoformat(timespec="seconds")}


@dataclass(frozen=True)
class State:
    """``word`` is one of running, done, stopped, failed, killed, unknown; ``why`` says more, or is ""."""

    word: str
    why: str = ""


def read_sessions(path: Path) -> list[Session]:
    """What the file holds; none if there is none.

    Raises:
        BadFile: if it can't be read, or an entry of it is none.
    """
    try:
        found = [_read(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        if not found:
            raise ValueError("it is empty")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadFile(f"{path} can't be read: {one_line(str(error))}.") from error
    return found


def state_of(sessions: Sequence[Session], at_work: bool) -> State:
    """How the run stands.

    The entry of a process that was killed says for ever that it runs, and that of a run that is gone on with how the
    one before ended: only whether a process is ``at_work`` in the folder tells.
    """
    if at_work:
        return State("running")
    if not sessions:
        return State("unknown", "its folder does not say")
    word, _, why = sessions[-1].ended.partition(": ")
    return State("killed", "its process ended without a word") if word == "running" else State(word, why)


def _read(entry: dict[str, Any]) -> Session:
    ended = str(entry["ended"])
    if ended.partition(": ")[0] not in _ENDS:
        raise ValueError(f"a run never ends '{ended}'")
    return Session(
        datetime.fromisoformat(entry["began"]),
        int(entry["from_step"]),
        int(entry["steps"]),
        int(entry["step"]),
        float(entry["seconds"]),
        int(entry["peak_memory"]),
        ended,
    )
