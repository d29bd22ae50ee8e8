"""Prints the progress of a run: a live line in a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from zoo_core.errors import printable
from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

_REDRAW_INTERVAL = 0.1  # seconds
_LINE_INTERVAL = 10.0  # seconds


class Progress:
    """Prints step, epoch if there is a dataset, speed, training metrics and remaining time to ``console``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Any = None
        self._started = self._drawn = 0.0
        self._first_step = 0

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        self._started, self._drawn, self._first_step = time.monotonic(), 0.0, run.step
        self._console.print(
            printable(f"{run.name}: {run.total_steps:,} steps on {run.device}, in {run.path}"), soft_wrap=True
        )
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    @hookimpl
    def zoo_step_finished(self, run: Run, step: int, metrics: Mapping[str, Tensor]) -> None:
        now = time.monotonic()
        if self._live is not None and now - self._drawn >= _REDRAW_INTERVAL:
            self._drawn = now
            self._live.update(printable(self._line(run)), refresh=True)

    @hookimpl
    def zoo_logged(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        now = time.monotonic()
        if self._live is None and (now - self._drawn >= _LINE_INTERVAL or step == run.total_steps):
            self._drawn = now
            self._print(self._line(run))

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._print(f"step {step:,} evaluation  {format_metrics(metrics)}")

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._stop()

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        self._stop()

    def _line(self, run: Run) -> str:
        elapsed = time.monotonic() - self._started
        rate = (run.step - self._first_step) / elapsed if elapsed else 0.0
        left = timedelta(seconds=round((run.total_steps - run.step) / rate)) if rate else "?"
        epoch = f"epoch {run.epoch:.2f}  " if run.steps_per_epoch else ""
        return (
            f"step {run.step:,}/{run.total_steps:,}  {epoch}{rate:.1f} steps/s  "
            f"{format_metrics(run.train_metrics)}  left {left}"
        )

    def _print(self, line: str) -> None:
        self._console.print(printable(line), soft_wrap=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()


def format_metrics(metrics: Mapping[str, float]) -> str:
    """Metrics as ``generator_loss 0.2931  real_loss 0.1``, without those that have a slash in their name."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if "/" not in name)
