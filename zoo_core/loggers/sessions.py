"""Writes ``sessions.json``: each time that a run was at work, how long, with how much memory, and how it ended."""

from __future__ import annotations

import json
import time
import warnings
from datetime import datetime

from zoo_core.engine.memory import peak_memory
from zoo_core.errors import BadFile, one_line
from zoo_core.files import write_atomically
from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run
from zoo_core.runs.sessions import Session, read_sessions

_EVERY = 10.0  # seconds, at most, that a run which is killed leaves untold


class Sessions:
    """Adds a session when a run begins or goes on, and says of it from then on how far it is."""

    def __init__(self) -> None:
        self._before: list[Session] = []
        self._now = datetime.now().astimezone()
        self._from_step = 0
        self._began = self._written = 0.0

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self._began = time.monotonic()
        self._now, self._from_step = datetime.now().astimezone(), run.step
        try:
            self._before = read_sessions(run.folder.sessions)
        except BadFile as error:
            warnings.warn(f"{error.message} It is begun anew.", stacklevel=2)
        self._write(run, "running")

    @hookimpl
    def zoo_logged(self, run: Run) -> None:
        if time.monotonic() - self._written >= _EVERY:
            self._write(run, "running")

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        done = f"done: {one_line(run.finishing)}" if run.finishing else "done"
        self._write(run, f"stopped: by {run.stopping}" if run.stopping else done, last=True)

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        why = one_line(str(error) or type(error).__name__)
        ended = "stopped: by SIGINT" if isinstance(error, KeyboardInterrupt) else f"failed: {why}"
        self._write(run, ended, last=True)

    def _write(self, run: Run, ended: str, last: bool = False) -> None:
        self._written = time.monotonic()
        seconds = round(self._written - self._began, 3)
        memory = peak_memory(run.device)
        session = Session(self._now, self._from_step, run.total_steps, run.step, seconds, memory, ended)
        entries = [one.as_entry() for one in (*self._before, session)]
        try:
            write_atomically(run.folder.sessions, json.dumps(entries, indent=2) + "\n")
        except OSError as error:
            if last:  # until then, the next interval tries again
                warnings.warn(f"{run.folder.sessions} can't be written: {error.strerror}.", stacklevel=2)
