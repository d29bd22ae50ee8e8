"""Metrics and previews that are reported to callbacks some steps later, while the device works on those steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

LATER = 32  # steps; the device should need longer for them than the callbacks for a report


class Reports:
    """Calls of hooks with what the device has computed, in their order.

    A device computes while the host prepares later steps. A hook that were called at once would be waited for by the
    device, since no step is prepared meanwhile. So each is called ``later`` steps after the step it is of, or when
    something needs it earlier.

    Args:
        later: number of steps; 0 calls each hook at once, for a device that computes a step before the host goes on.
    """

    def __init__(self, later: int) -> None:
        self._later = later
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    def add(self, step: int, report: Callable[[], None]) -> None:
        """Call ``report``, which is of ``step``, once it is due."""
        self._waiting.append((step, report))
        self.call_due(step)

    def call_due(self, step: int) -> None:
        """Call what is due after ``step``."""
        while self._waiting and self._waiting[0][0] + self._later <= step:
            self._waiting.popleft()[1]()

    def call_all(self) -> None:
        """Call everything that waits."""
        while self._waiting:
            self._waiting.popleft()[1]()
