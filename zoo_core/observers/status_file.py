"""``status.json``: whether a run is under way, and how it ended. `zoo top` reads it."""

from __future__ import annotations

import json
import time
import warnings

from zoo_core.folder import write_whole
from zoo_core.hookspecs import hookimpl
from zoo_core.run_state import Run


class StatusFile:
    """Written when a run begins or is gone on with, and when it ends. A process that is killed leaves "running"."""

    def __init__(self) -> None:
        self._began: dict[str, float | int] = {}

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self._began = {"began": time.time(), "first_step": run.step}
        self._write(run, "running")

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        if run.stopping:
            self._write(run, "interrupted", run.stopping)
        else:
            self._write(run, "finished")

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._write(run, "interrupted", run.stopping or "SIGINT")
        else:
            self._write(run, "failed", f"{type(error).__name__}: {error}".splitlines()[0])

    def _write(self, run: Run, state: str, reason: str = "") -> None:
        path = run.path / "status.json"
        status = {"state": state, "reason": reason, "recipe": run.name, "step": run.step, "steps": run.total_steps}
        try:
            write_whole(path, json.dumps({**status, **self._began, "written": time.time()}) + "\n")
        except OSError as error:
            warnings.warn(f"{path} can't be written: {error.strerror}. `zoo top` will not know.", stacklevel=2)
