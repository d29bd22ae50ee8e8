"""Writes ``metrics.jsonl``: one line per log interval and per evaluation."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from zoo_core.files import write_atomically
from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run


class MetricsFile:
    """Appends lines such as ``{"step": 50, "epoch": 0.05, "generator_loss": 0.3}``.

    Lines of evaluations have ``"evaluation": true``.
    """

    def __init__(self) -> None:
        self._unwritten: list[str] = []

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        if run.folder.metrics.exists():
            _drop_repeated_lines(run)
        else:
            run.folder.metrics.touch()

    @hookimpl
    def zoo_logged(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._write(run, {"step": step, "epoch": round(run.epoch, 4), **metrics})

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._write(run, {"step": step, "evaluation": True, **metrics})

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._flush(run)

    @hookimpl
    def zoo_run_failed(self, run: Run) -> None:
        self._flush(run)

    def _write(self, run: Run, line: Mapping[str, object]) -> None:
        self._unwritten.append(json.dumps(line) + "\n")
        self._flush(run)

    def _flush(self, run: Run) -> None:
        """Append the pending lines; if that fails, for instance on a full disk, they are kept for the next attempt."""
        path, lines = run.folder.metrics, len(self._unwritten)
        try:
            _append(path, "".join(self._unwritten))
        except OSError as error:
            if lines == 1 or run.stopping or run.step >= run.total_steps:
                warnings.warn(f"{path} can't be written: {error.strerror}; {lines} lines are missing.", stacklevel=2)
        else:
            self._unwritten.clear()


def _append(path: Path, text: str) -> None:
    """Append all of ``text``, or nothing."""
    size = path.stat().st_size
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        if path.is_file():
            os.truncate(path, size)
        raise


def _drop_repeated_lines(run: Run) -> None:
    """Drop the lines that a resumed run writes again: of steps after its checkpoint, and of the final evaluation."""
    # If the process was killed, the last line may be incomplete; it is written again.
    lines = run.folder.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and not _is_repeated(run, json.loads(line))]
    write_atomically(run.folder.metrics, "".join(kept))


def _is_repeated(run: Run, line: Mapping[str, int]) -> bool:
    return line["step"] > run.step or ("evaluation" in line and line["step"] == run.total_steps)
