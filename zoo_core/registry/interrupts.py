"""Tells what interrupts the code of a plugin from what the plugin raises, which may be a ``KeyboardInterrupt``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Whether Ctrl-C was pressed while code of a plugin ran."""

    def __init__(self) -> None:
        self.received = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """In this context, SIGINT is noted; it is handled as before."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(before):
            yield
            return

        def note(number: int, frame: FrameType | None) -> Any:
            self.received = True
            return before(number, frame)

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def caused(self, error: BaseException) -> bool:
        """Whether ``error`` is not the plugin's: Ctrl-C raised it, or zoo, which stops the work of a plugin so."""
        if isinstance(error, Exception | SystemExit):
            return False
        return type(error).__module__.startswith("zoo_core.") or (
            self.received and isinstance(error, KeyboardInterrupt)
        )
