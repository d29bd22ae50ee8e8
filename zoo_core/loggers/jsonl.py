"""Writes ``metrics.jsonl``: one line per log interval and per evaluation."""

from __future__ import annotations

import codecs
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo_core.errors import BadFile
from zoo_core.files import copy_aside, set_aside, stat_regular, write_atomically
from zoo_core.hookspecs import hookimpl
from zoo_core.runs.metrics import format_line, parse_line
from zoo_core.runs.run import Run

_Line = tuple[bytes, dict[str, Any]]  # with its values
_STEP = re.compile(rb'\{"step": (\d+),')


class MetricsFile:
    """Appends lines such as ``{"step": 50, "epoch": 0.05, "generator_loss": 0.3}``.

    Lines of evaluations have ``"evaluation": true``. Before a checkpoint is complete, the lines until its step are on
    the disk (``AsyncCheckpointWriter``).
    """

    def __init__(self) -> None:
        self._unwritten: list[str] = []

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        path = run.folder.metrics
        if not os.path.lexists(path):
            path.touch()
            return
        try:
            stat_regular(path)
            content = path.read_bytes()
        except OSError as error:  # BadFile is one
            reason = error.message if isinstance(error, BadFile) else f"{path} can't be read: {error.strerror}."
            warnings.warn(f"{reason} It is kept as {set_aside(path).name}, and a new file is started.", stacklevel=2)
            path.touch()
        else:
            _drop_lines(run, content)

    @hookimpl
    def zoo_logged(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        epoch = {"epoch": round(step / run.steps_per_epoch, 4)} if run.steps_per_epoch else {}
        self._write(run, {"step": step, **epoch, **metrics})

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._write(run, {"step": step, "evaluation": True, **metrics})

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._flush(run)

    @hookimpl
    def zoo_run_failed(self, run: Run) -> None:
        self._flush(run)

    def _write(self, run: Run, line: Mapping[str, float]) -> None:
        self._unwritten.append(format_line(line))
        self._flush(run)

    def _flush(self, run: Run) -> None:
        """Append the pending lines; if that fails, for instance on a full disk, they are kept for the next attempt."""
        path, lines = run.folder.metrics, len(self._unwritten)
        try:
            _append(path, "".join(self._unwritten).encode())
        except OSError as error:
            if lines == 1 or run.stopping or run.step >= run.total_steps:
                warnings.warn(f"{path} can't be written: {error.strerror}; {lines} lines are missing.", stacklevel=2)
        else:
            self._unwritten.clear()


def _append(path: Path, content: bytes) -> None:
    """Append all of ``content``, or nothing. It begins a line even if another program has written a part of one."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("a+b") as file:
            if size:
                file.seek(size - 1)
                content = content if file.read(1) == b"\n" else b"\n" + content
            file.write(content)
    except OSError:
        if path.is_file():
            os.truncate(path, size)
        raise


def _drop_lines(run: Run, content: bytes) -> None:
    """Drop the lines that a resumed run writes again, and damaged and repeated ones, which are kept in another file.

    The run writes again the lines of steps after its checkpoint, and of the final evaluation. What editors add, a mark
    of the byte order and other line ends, is left out.
    """
    path = run.folder.metrics
    *lines, rest = (line.removesuffix(b"\r") for line in content.removeprefix(codecs.BOM_UTF8).split(b"\n"))
    parsed = [(line, parse_line(line)) for line in lines]
    damaged = sum(values is None for _, values in parsed)
    if rest and (values := parse_line(rest)) is not None:
        parsed.append((rest, values))  # only its end is missing
    elif rest and not _was_cut_short(rest, run.step):
        damaged += 1
    whole = [(line, values) for line, values in parsed if values is not None]
    single = _without_copies(whole, pairs=bool(run.settings.monitor))
    kept = _not_repeated(run, single)
    counts = {"damaged": damaged, "repeated": len(whole) - len(single)}
    if found := [f"{count:,} {kind} line{'s' * (count > 1)}" for kind, count in counts.items() if count]:
        warnings.warn(f"{path} had {' and '.join(found)}; the file is kept as {copy_aside(path).name}.", stacklevel=2)
    write_atomically(path, b"".join(line + b"\n" for line in kept))


def _without_copies(lines: list[_Line], pairs: bool) -> list[_Line]:
    """The lines without those that another program has written once more.

    With ``pairs``, an evaluation may follow an equal one: with ``run.monitor`` the last step is evaluated twice, on the
    same split if there is no validation split.
    """
    seen: set[bytes] = set()
    single: list[_Line] = []
    for line, values in lines:
        if line not in seen or (pairs and "evaluation" in values and single[-1][0] == line):
            single.append((line, values))
        seen.add(line)
    return single


def _was_cut_short(line: bytes, step: int) -> bool:
    """Whether the last line was being written when the process was killed: it is of a step after the checkpoint."""
    found = _STEP.match(line)
    return found is None or int(found[1][:20]) > step


def _not_repeated(run: Run, lines: list[_Line]) -> list[bytes]:
    """The lines that the run does not write again.

    With ``run.monitor`` the last step is evaluated on the validation split, before its checkpoint, and then on the test
    split, which is repeated.
    """
    validations = 1 if run.settings.monitor and run.step == run.total_steps else 0
    kept = []
    for line, values in lines:
        last = "evaluation" in values and values["step"] == run.total_steps
        if values["step"] <= run.step and (not last or validations):
            kept.append(line)
            validations -= last
    return kept
