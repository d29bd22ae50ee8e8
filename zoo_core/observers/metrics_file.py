"""``metrics.jsonl``: a line for every log interval and every evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO

from zoo_core.hookspecs import hookimpl
from zoo_core.run_state import Run


class MetricsFile:
    """Appends lines such as ``{"step": 50, "epoch": 0.05, "generator_loss": 0.3}``.

    Those of evaluations carry ``"evaluation": true``.
    """

    def __init__(self) -> None:
        self._file: IO[str] | None = None

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        if run.step and run.folder.metrics.exists():
            _drop_what_comes_again(run)
        self._file = run.folder.metrics.open("a", encoding="utf-8")

    @hookimpl
    def zoo_logged(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._write({"step": step, "epoch": round(run.epoch, 4), **metrics})

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._write({"step": step, "evaluation": True, **metrics})

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._close()

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        self._close()

    def _write(self, line: Mapping[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def _drop_what_comes_again(run: Run) -> None:
    """Steps that are run again write their lines anew, and a finished run its last evaluation."""
    # A kill may have cut the last line short; what it said is said again.
    lines = run.folder.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and not _comes_again(run, json.loads(line))]
    run.folder.metrics.write_text("".join(kept), encoding="utf-8")


def _comes_again(run: Run, line: Mapping[str, int]) -> bool:
    return line["step"] > run.step or ("evaluation" in line and line["step"] == run.total_steps)
