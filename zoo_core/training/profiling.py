"""Profiles some steps of a run: a trace in its folder, and a table of the operations that take most of the time."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch._C._autograd import DeviceType

from zoo_core.config.step_range import StepRange
from zoo_core.errors import BadSetting
from zoo_core.runs.run import Run
from zoo_core.terminal import say

_SHOWN = 10
_LONGEST_NAME = 56  # characters; names of kernels are longer


class StepProfiler:
    """Records the steps of ``run.profile`` with torch.profiler; use as a context of the steps.

    A run that ends before the last of them writes what was recorded.

    Raises:
        BadSetting: if the run has fewer steps.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._range = StepRange.read("run.profile", run.settings.profile)
        self._profile: Any = None
        self._first = 0
        if self._range.last > run.total_steps:
            raise BadSetting(
                f"run.profile is {run.settings.profile}, but the run has {run.total_steps:,} steps.",
                f"Write for example `run.profile={max(run.total_steps - 9, 1)}:{run.total_steps}`, or more steps.",
            )

    def __enter__(self) -> StepProfiler:
        run, last = self._run, self._range.last
        # A run that was resumed may have been profiled before.
        if last <= run.step < run.total_steps and not any(run.path.glob("profile-*.json.gz")):
            self._warn_of_nothing(f"the run is at step {run.step:,} already")
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self._profile is not None and kind is None:
            self._finish()
        elif self._profile is not None:
            self._profile.stop()
        elif kind is None and self._run.total_steps <= self._run.step < self._range.first:
            self._warn_of_nothing(f"the run ended with step {self._run.step:,}")

    def _warn_of_nothing(self, why: str) -> None:
        warnings.warn(f"run.profile is {self._run.settings.profile}, but {why}: nothing is profiled.", stacklevel=3)

    def before(self, step: int) -> None:
        """Begin with the first step of the range, or, in a run that is resumed within it, with the next one."""
        if self._profile is not None or not self._range.first <= step <= self._range.last:
            return
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self._run.device.type == "cuda":
            # Without this, replays of CUDA graphs fail after a profile.
            os.environ.setdefault("TEARDOWN_CUPTI", "0")
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._first = step
        self._profile = torch.profiler.profile(activities=activities, acc_events=True)
        self._profile.start()

    def after(self, step: int) -> None:
        """End with the last step of the range."""
        if self._profile is not None and step == self._range.last:
            self._finish()

    def _finish(self) -> None:
        if self._run.device.type != "cpu":
            torch.accelerator.synchronize()  # the work of the last step belongs to it
        profile, self._profile = self._profile, None
        profile.stop()
        steps = StepRange(self._first, self._run.step)
        path = self._run.path / f"profile-{steps.first}-{steps.last}.json.gz"
        try:
            _write(profile, path)
            where = f"the trace is {path}"
        except (OSError, RuntimeError) as error:  # RuntimeError: that of the profiler for a file it cannot write
            warnings.warn(f"the trace {path} can't be written: {error}.", stacklevel=2)
            where = "the trace could not be written"
        on_cuda = self._run.device.type == "cuda"
        title = f"{steps}, by time on the {'device' if on_cuda else 'CPU'}; {where}"
        table = [title, *table_of(profile.key_averages(), on_cuda)]
        say(*table, err=True)


def _write(profile: Any, path: Path) -> None:
    """As a whole: a trace that was cut off cannot be opened."""
    unfinished = path.with_name(f".{path.name}")  # the profiler compresses what ends in .gz
    try:
        profile.export_chrome_trace(str(unfinished))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def table_of(events: Any, on_cuda: bool) -> list[str]:
    """The lines of a table of the operations with the largest time of their own, without that of those they call.

    On CUDA these are the kernels, which the replay of a captured step performs without the operations of PyTorch.
    """
    rows = [(event.key, time, event.count) for event in events if (time := _own_time(event, on_cuda)) > 0]
    total = sum(time for _, time, _ in rows)
    if not total:
        return ["  no operation was recorded"]
    largest = sorted(rows, key=lambda row: (-row[1], row[0]))[:_SHOWN]
    names = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name, _, _ in largest]
    width = max(map(len, [*names, "operation"]))
    heading = f"  {'operation':<{width}}  {'device time' if on_cuda else 'self time':>11}  {'calls':>7}  {'share':>6}"
    lines = [
        f"  {name:<{width}}  {time / 1000:>8.2f} ms  {count:>7,}  {time / total:>6.1%}"
        for name, (_, time, count) in zip(names, largest, strict=True)
    ]
    return [heading, *lines]


def _own_time(event: Any, on_cuda: bool) -> float:
    """Microseconds; 0 for what is not an operation of the kind."""
    if event.is_user_annotation:
        return 0.0
    if on_cuda:
        return float(event.self_device_time_total) if event.device_type != DeviceType.CPU else 0.0
    return float(event.self_cpu_time_total) if event.device_type == DeviceType.CPU else 0.0
