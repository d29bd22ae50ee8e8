"""SIGINT and SIGTERM stop a run after the current step; a second one ends it immediately."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zoo_core.runs.run import TIME_LIMIT, Run

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, TIME_LIMIT: 124}  # 124 as timeout(1) has it


@contextmanager
def stops_on_signal(run: Run) -> Iterator[None]:
    """Inside, a signal sets ``run.stopping`` to its name. Python handles signals in the main thread only."""

    def stop(number: int, frame: FrameType | None) -> None:
        if run.stopping:
            raise KeyboardInterrupt
        run.stop(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stops_after(run: Run, seconds: float | None) -> Iterator[None]:
    """Inside, the run is stopped after ``seconds``; None is no limit."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, run.stop, [TIME_LIMIT])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a thread that still runs when Python exits aborts the process


@contextmanager
def exits_on_interrupt() -> Iterator[None]:
    """Inside, SIGINT ends the process immediately, because there is nothing to save.

    Python would raise KeyboardInterrupt in the middle of whatever is imported, and some modules lose it or are left
    half-made by it.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        os.write(2, b"interrupted\n")
        os._exit(EXIT_CODES["SIGINT"])

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
