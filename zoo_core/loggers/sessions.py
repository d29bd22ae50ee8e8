"""Writes ``sessions.json``: start, duration, memory and outcome of each session of a run."""

from __future__ import annotations

import time
import warnings
from datetime import datetime

from zoo_core.engine.memory import peak_memory
from zoo_core.engine.shutdown import ends_on_signals, received
from zoo_core.errors import BadFile, RunStopped, ZooError, one_line, raised
from zoo_core.files import set_aside
from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run
from zoo_core.runs.sessions import Session, read_sessions, write_sessions

_WRITE_INTERVAL = 10.0  # seconds; a killed run loses at most this much of its record


class Sessions:
    """Adds a session when a run starts or resumes, and updates it regularly."""

    def __init__(self) -> None:
        self._earlier: list[Session] = []
        self._started_at = datetime.now().astimezone()
        self._from_step = 0
        self._start = self._last_write = 0.0

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self._start = time.monotonic()
        self._started_at, self._from_step = datetime.now().astimezone(), run.step
        try:
            self._earlier = read_sessions(run.folder.sessions)
        except BadFile as error:
            kept = set_aside(run.folder.sessions).name
            warnings.warn(f"{error.message} It is kept as {kept}, and a new file is started.", stacklevel=2)
        self._write(run, "running")

    @hookimpl
    def zoo_logged(self, run: Run) -> None:
        if time.monotonic() - self._last_write >= _WRITE_INTERVAL:
            self._write(run, "running")

    @hookimpl(trylast=True)  # a run is done when the callbacks of others have finished as well
    def zoo_run_finished(self, run: Run) -> None:
        done = f"done: {one_line(run.finishing)}" if run.finishing else "done"
        self._write(run, f"stopped: by {run.stopping}" if run.stopping else done, last=True)

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        reason = one_line(str(error)) if isinstance(error, ZooError) else raised(error)
        stopped = run.stopping if isinstance(error, RunStopped) else "SIGINT"
        # In a command no signal raises KeyboardInterrupt, so one without a signal is an error of a plugin.
        is_interrupt = isinstance(error, KeyboardInterrupt) and (not ends_on_signals() or bool(received()))
        is_stop = isinstance(error, RunStopped) or is_interrupt
        ended = f"stopped: by {stopped}" if is_stop else f"failed: {reason}"
        self._write(run, ended, last=True)

    def _write(self, run: Run, ended: str, last: bool = False) -> None:
        self._last_write = time.monotonic()
        seconds = round(self._last_write - self._start, 3)
        memory = peak_memory(run.device)
        session = Session(self._started_at, self._from_step, run.total_steps, run.step, seconds, memory, ended)
        try:
            write_sessions(run.folder.sessions, [*self._earlier, session])
        except OSError as error:
            if last:  # before, the next interval tries again
                warnings.warn(f"{run.folder.sessions} can't be written: {error.strerror}.", stacklevel=2)
