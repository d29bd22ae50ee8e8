"""SIGINT and SIGTERM end a run after the step that is under way; a second one ends it at once."""

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
    """Inside, a signal makes ``run.stopping`` its name. Outside the main thread Python cannot listen to signals."""

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
    """Inside, ``run.stopping`` becomes the time limit when ``seconds`` have passed; None is no limit."""
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
        timer.join()  # a thread that is still ending while Python does aborts the process


@contextmanager
def exits_on_interrupt() -> Iterator[None]:
    """Inside, SIGINT ends the process at once, for where there is nothing to save.

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
