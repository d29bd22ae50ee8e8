"""``sessions.json``: the periods in which a run was active. ``zoo_core.loggers.sessions`` writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from zoo_core.config.command_line import resume_command
from zoo_core.errors import BadFile, ProcessLost, one_line
from zoo_core.files import read_json, write_atomically

_PROCESS_LOST = "another process of the run ended"
_ENDS = ("running", "done", "stopped", "failed")


@dataclass(frozen=True)
class Session:
    """One period in which a run was active, from its start or a resumption to its end."""

    began: datetime
    from_step: int
    steps: int
    """Steps of the whole run."""
    step: int
    """The last completed step."""
    seconds: float
    peak_memory: int
    """In bytes, of the first process."""
    ended: str
    """``running``, ``done``, ``stopped: REASON`` or ``failed: REASON``."""

    def as_entry(self) -> dict[str, Any]:
        """The session as JSON."""
        return {**vars(self), "began": self.began.isoformat(timespec="seconds")}


@dataclass(frozen=True)
class State:
    """``word`` is one of running, done, stopped, failed, killed, unknown; ``why`` is the reason, or ""."""

    word: str
    why: str = ""


def read_sessions(path: Path) -> list[Session]:
    """The sessions in the file; an empty list if it does not exist.

    Raises:
        BadFile: if it can't be read or is malformed.
    """
    try:
        found = [_read(entry) for entry in read_json(path)]
        if not found:
            raise ValueError("it is empty")
    except FileNotFoundError:
        return []
    except BadFile:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise BadFile(f"{path} can't be read: {one_line(str(error))}.") from error
    return found


def state_of(sessions: Sequence[Session], active: bool) -> State:
    """The state of a run with these sessions; ``active`` says whether a process is training in its folder.

    The sessions alone are not enough: the last one still says ``running`` after its process was killed, and it
    describes the previous session while a resumed run is starting.
    """
    if active:
        return State("running")
    if not sessions:
        return State("unknown", "sessions.json is missing or damaged")
    word, _, why = sessions[-1].ended.partition(": ")
    return State("killed", "its process ended without recording why") if word == "running" else State(word, why)


def write_sessions(path: Path, sessions: Sequence[Session]) -> None:
    """Replace the file by one with these sessions.

    Raises:
        OSError: if it can't be written.
    """
    write_atomically(path, json.dumps([one.as_entry() for one in sessions], indent=2) + "\n")


def record_end(path: Path, step: int, ended: str) -> None:
    """Record how the running session ended, for a process that ends in the middle of a step; as well as is possible."""
    with suppress(BadFile, OSError):
        sessions = read_sessions(path)
        if sessions and sessions[-1].ended == "running":
            seconds = (datetime.now().astimezone() - sessions[-1].began).total_seconds()
            last = replace(sessions[-1], step=step, seconds=round(seconds, 3), ended=ended)
            write_sessions(path, [*sessions[:-1], last])


def record_cause(path: Path, since: datetime, ended: str) -> None:
    """Record why the session that began after ``since`` ended, if its process could not say; as well as is possible.

    That process was killed, or it knows only that another one is lost.
    """
    with suppress(BadFile, OSError):
        sessions = read_sessions(path)
        ours = bool(sessions) and sessions[-1].began >= since.replace(microsecond=0)
        if ours and (sessions[-1].ended == "running" or sessions[-1].ended.startswith(f"failed: {_PROCESS_LOST}")):
            write_sessions(path, [*sessions[:-1], replace(sessions[-1], ended=ended)])


def process_lost(when: str, folder: Path) -> ProcessLost:
    """The error of a process that cannot continue alone; :func:`record_cause` replaces it where the cause is known."""
    return ProcessLost(
        f"{_PROCESS_LOST} {when}, and this one cannot continue alone.",
        f"Its own message says why. Resume from the last checkpoint: {resume_command(folder)}",
    )


def _read(entry: dict[str, Any]) -> Session:
    ended = str(entry["ended"])
    if ended.partition(": ")[0] not in _ENDS:
        raise ValueError(f"a session cannot end with '{ended}'")
    return Session(
        datetime.fromisoformat(entry["began"]),
        int(entry["from_step"]),
        int(entry["steps"]),
        int(entry["step"]),
        float(entry["seconds"]),
        int(entry["peak_memory"]),
        ended,
    )
