"""``sessions.json``: each time that a run was at work, how long, with how much memory, and how it ended."""

from __future__ import annotations

import json
import time
import warnings
from datetime import datetime
from typing import Any

from zoo_core.errors import one_line
from zoo_core.folder import write_whole
from zoo_core.hookspecs import hookimpl
from zoo_core.memory import peak_memory
from zoo_core.run_state import Run

_EVERY = 10.0  # seconds, at most, that a run which is killed leaves untold


class Sessions:
    """Adds ``{"began", "from_step", "steps", "step", "seconds", "peak_memory", "ended"}`` when a run begins or goes on.

    ``ended`` is ``running``, ``done``, ``stopped: BY`` or ``failed: WHY``. Memory is in bytes, the first process's.
    """

    def __init__(self) -> None:
        self._all: list[dict[str, Any]] = []
        self._began = self._written = 0.0

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self._began = time.monotonic()
        self._all = self._before(run)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._all.append({"began": now, "from_step": run.step, "steps": run.total_steps})
        self._write(run, "running")

    @hookimpl
    def zoo_logged(self, run: Run) -> None:
        if time.monotonic() - self._written >= _EVERY:
            self._write(run, "running")

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._write(run, f"stopped: by {run.stopping}" if run.stopping else "done", last=True)

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        why = one_line(str(error) or type(error).__name__)
        ended = "stopped: by SIGINT" if isinstance(error, KeyboardInterrupt) else f"failed: {why}"
        self._write(run, ended, last=True)

    def _before(self, run: Run) -> list[dict[str, Any]]:
        try:
            return list(json.loads(run.folder.sessions.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            warnings.warn(f"{run.folder.sessions} can't be read, and is begun anew: {error}.", stacklevel=2)
            return []

    def _write(self, run: Run, ended: str, last: bool = False) -> None:
        self._written = time.monotonic()
        seconds = round(self._written - self._began, 3)
        self._all[-1] |= {
            "step": run.step,
            "seconds": seconds,
            "peak_memory": peak_memory(run.device),
            "ended": ended,
        }
        try:
            write_whole(run.folder.sessions, json.dumps(self._all, indent=2) + "\n")
        except OSError as error:
            if last:  # until then, the next interval tries again
                warnings.warn(f"{run.folder.sessions} can't be written: {error.strerror}.", stacklevel=2)
