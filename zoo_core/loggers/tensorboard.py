"""Writes TensorBoard events: ``tensorboard --logdir runs``."""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run

if TYPE_CHECKING:
    from zoo_core.data.values import Audio, Table, Value

_MOST_ROWS = 200
_MOST_CHARACTERS = 100_000
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|])")
_LONGEST_WAIT = 2.0  # seconds; a clock that was set back may be late by more


class TensorBoard:
    """Writes scalars under ``train/`` and ``evaluation/``, and previews as images, audio and text.

    What a resumed run repeats is shown once: TensorBoard discards the events of the steps after the checkpoint.
    """

    def __init__(self) -> None:
        self._writer: Any = None
        self._purge_step: int | None = None
        self._finished_before = self._failed = False

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self._purge_step = run.step + 1
        self._finished_before = run.step == run.total_steps

    @hookimpl
    def zoo_logged(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._write(run, lambda writer: _scalars(writer, "train", step, metrics))

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        if self._finished_before:  # then it is evaluated again
            shown = _evaluation_at(run, step)
            metrics = {name: value for name, value in metrics.items() if name not in shown}
        self._write(run, lambda writer: _scalars(writer, "evaluation", step, metrics))

    @hookimpl
    def zoo_preview(self, run: Run, step: int, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            self._write(run, partial(_preview, tag=f"preview/{name}" if name else "preview", step=step, value=value))

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._close(run)

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        self._close(run)

    def _write(self, run: Run, write: Callable[[Any], None]) -> None:
        """Write events; if that fails, for instance on a full disk, a new file is started with the next ones."""
        try:
            if self._writer is None:
                # Imported when first needed, so that the first step does not wait for it.
                from torch.utils.tensorboard import SummaryWriter

                _report_once()
                _let_a_second_pass(run.path)
                self._writer = SummaryWriter(str(run.path), purge_step=self._purge_step)
                self._purge_step = None  # of another file, if this one fails
            write(self._writer)
        except OSError as error:
            self._fail(run, error)

    def _close(self, run: Run) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            self._fail(run, error)

    def _fail(self, run: Run, error: OSError) -> None:
        self._writer = None
        if not self._failed:
            reason = error.strerror or error
            warnings.warn(
                f"TensorBoard events can't be written to {run.path}: {reason}; some are missing.", stacklevel=2
            )
        self._failed = True


def _let_a_second_pass(folder: Path) -> None:
    """Wait until a new file of events comes after those of the folder, which TensorBoard reads in alphabetical order.

    Their names begin with the time in seconds, so this matters for a run that is resumed within a second.
    """
    latest = max((one.name.split(".")[3] for one in folder.glob("events.out.tfevents.*.*")), default="")
    end = time.monotonic() + _LONGEST_WAIT
    while f"{int(time.time()):010d}" <= latest and time.monotonic() < end:
        time.sleep(0.01)


def _report_once() -> None:
    """Let TensorBoard's thread print no traceback of what the next call raises again, such as a full disk.

    A run restores the function when it ends, so the next run of the process sets it again.
    """
    if not isinstance(threading.excepthook, _ErrorsOfOthers):
        threading.excepthook = _ErrorsOfOthers(threading.excepthook)


class _ErrorsOfOthers:
    def __init__(self, report: Callable[[threading.ExceptHookArgs], object]) -> None:
        self._report = report

    def __call__(self, raised: threading.ExceptHookArgs) -> None:
        of_tensorboard = type(raised.thread).__module__.startswith("tensorboard.")
        if not (of_tensorboard and isinstance(raised.exc_value, OSError)):
            self._report(raised)


def _scalars(writer: Any, group: str, step: int, metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        writer.add_scalar(f"{group}/{name}", value, step)


def _preview(writer: Any, tag: str, step: int, value: Value) -> None:
    from torch import Tensor

    from zoo_core.data.value_output import picture
    from zoo_core.data.values import Table

    if isinstance(value, Tensor):
        writer.add_image(tag, picture(value), step)
    elif isinstance(value, str):
        writer.add_text(tag, _as_code(value), step)
    elif isinstance(value, Table):
        writer.add_text(tag, _as_markdown(value), step)
    else:
        writer.file_writer.add_summary(_audio_summary(tag, value), step)


def _audio_summary(tag: str, audio: Audio) -> Any:
    """The summary of ``add_audio``, which has one channel, with all channels."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    from zoo_core.data.value_output import encoded

    channels, length = audio.samples.shape
    clip = Summary.Audio(
        sample_rate=audio.sample_rate,
        num_channels=channels,
        length_frames=length,
        encoded_audio_string=encoded(audio),
        content_type="audio/wav",
    )
    return Summary(value=[Summary.Value(tag=tag, audio=clip)])


def _as_code(text: str) -> str:
    """``text`` as Markdown that shows it as it is."""
    more = "\n…" if len(text) > _MOST_CHARACTERS else ""
    return "\n".join(f"    {line}" for line in f"{text[:_MOST_CHARACTERS]}{more}".splitlines())


def _as_markdown(table: Table) -> str:
    from zoo_core.data.table_csv import rows_of, shown

    if not table.columns:
        return "(no rows)"
    rows = rows_of(table.columns)
    lines = [
        list(table.columns),
        ["---"] * len(table.columns),
        *([shown(cell) for cell in row] for row in rows[:_MOST_ROWS]),
    ]
    escaped = [" | ".join(one if number == 1 else _escaped(one) for one in line) for number, line in enumerate(lines)]
    more = f"\n\n{len(rows) - _MOST_ROWS:,} more rows" if len(rows) > _MOST_ROWS else ""
    return "\n".join(f"| {line} |" for line in escaped) + more


def _escaped(text: str) -> str:
    return escape(_MARKDOWN.sub(r"\\\1", " ".join(text.split())), quote=False)


def _evaluation_at(run: Run, step: int) -> set[str]:
    """The test metrics of the last step that the folder has events of.

    With ``run.monitor`` there are validation metrics of this step as well, with the same names.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    count = 2 if run.settings.monitor else 1
    every = 0  # a smaller number would be a random sample, with the last one always in it
    events = EventAccumulator(str(run.path), size_guidance={"scalars": every, "images": 1}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("evaluation/")]
    steps = {tag.removeprefix("evaluation/"): [event.step for event in events.Scalars(tag)] for tag in tags}
    return {name for name, of_events in steps.items() if of_events.count(step) == count}
