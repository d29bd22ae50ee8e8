"""A line on stderr that says how far a long preparation has come."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

_QUIET_SECONDS = 2.0
_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0


class ProgressLine:
    """Prints ``TASK: 1,200 of 10,000 files`` once it takes more than two seconds.

    In a terminal, the line is redrawn, and removed at the end; otherwise, a line is printed every ten seconds. Of
    several processes of a run, only the first prints.
    """

    def __init__(self, task: str, total: int, unit: str) -> None:
        self._task, self._total, self._unit = task, total, unit
        self._next = time.monotonic() + _QUIET_SECONDS
        self._is_silent = os.environ.get("RANK", "0") != "0"
        self._is_drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def update(self, count: int) -> None:
        """Say that ``count`` of the total are done."""
        now = time.monotonic()
        if self._is_silent or now < self._next:
            return
        text = f"{self._task}: {count:,} of {self._total:,} {self._unit}"
        if sys.stderr.isatty():
            self._is_drawn, self._next = True, now + _REDRAW_SECONDS
            sys.stderr.write(f"\r{text}\x1b[K")
        else:
            self._next = now + _LINE_SECONDS
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
