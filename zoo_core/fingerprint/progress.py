"""A line on stderr that says how far a long preparation has come."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

from zoo_core.terminal import redraw_line, say

_QUIET_SECONDS = 2.0
_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0


class ProgressLine:
    """Prints ``TASK: 1,200 of 10,000 files`` once it takes more than two seconds.

    In a terminal, the line is redrawn, and removed at the end; otherwise, a line is printed every ten seconds. Of
    several processes of a run, only the first prints. With ``timed``, the line has the rate since the first one was
    done, since what comes before it may take long once, and the time that is left.
    """

    def __init__(self, task: str, total: int, unit: str, *, timed: bool = False) -> None:
        self._task, self._total, self._unit, self._timed = task, total, unit, timed
        self._first: tuple[float, int] | None = None
        self._next = time.monotonic() + _QUIET_SECONDS
        self._is_silent = os.environ.get("RANK", "0") != "0"
        self._is_drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._erase()

    def say(self, text: str) -> None:
        """Print a line of its own, above the progress."""
        self._erase()
        say(text, err=True)

    def update(self, count: int) -> None:
        """Say that ``count`` of the total are done."""
        now = time.monotonic()
        if count and self._first is None:
            self._first = now, count
        if self._is_silent or now < self._next:
            return
        text = f"{self._task}: {count:,} of {self._total:,} {self._unit}"
        if self._timed and self._first and count > self._first[1] and now > self._first[0]:
            seconds = (now - self._first[0]) / (count - self._first[1])
            text += f", {format_rate(1 / seconds)} a second, {_clock((self._total - count) * seconds)} left"
        if sys.stderr.isatty():
            self._is_drawn, self._next = True, now + _REDRAW_SECONDS
            redraw_line(text)
        else:
            self._next = now + _LINE_SECONDS
            say(text, err=True)

    def _erase(self) -> None:
        if self._is_drawn:
            redraw_line("")


def format_rate(rate: float) -> str:
    """A number per second with two significant digits: ``0.25``, ``3.1``, ``1,240``."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
