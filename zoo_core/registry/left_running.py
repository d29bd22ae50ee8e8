"""Threads and processes that plugins leave running, and what the end of the program waits for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zoo_core.terminal import say

_SILENT = 2.0  # seconds that the end may take before it says why
_TIME_TO_END = 1.0  # seconds until a process that was asked to end is killed


@contextmanager
def waits_for_none(left: list[str]) -> Iterator[None]:
    """In this context, threads are started as daemons. Those that still run afterwards are named in ``left``.

    Processes of ``multiprocessing`` are ended and named.
    """
    start, loader, started = threading.Thread.start, threading.current_thread(), set[threading.Thread]()
    before = _processes()

    def start_as_daemon(thread: threading.Thread) -> None:
        starter = threading.current_thread()
        if starter in started or (starter is loader and not thread.daemon):
            thread.daemon = True
            started.add(thread)
        start(thread)

    threading.Thread.start = start_as_daemon  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
        of_executors = _threads_of_executors()  # for which the end of the program waits, too
        for thread in sorted((one for one in started if one.is_alive()), key=lambda one: one.name):
            of_executors.pop(thread, None)
            left.append(f"the thread '{thread.name}' running, for which zoo does not wait")
        for process in _processes() - before:
            _end(process)
            left.append(f"the process '{process.name}' running, which was ended")


def name_running_threads() -> None:
    """At the end of a command, name the threads for which Python waits, if that takes long."""
    end, ended_by_python = time.monotonic() + _SILENT, {threading.main_thread(), *_threads_of_executors()}
    others = [one for one in threading.enumerate() if not one.daemon and one not in ended_by_python]
    for thread in others:
        thread.join(max(0, end - time.monotonic()))
    if names := ", ".join(f"'{one.name}'" for one in others if one.is_alive()):
        say(f"waiting for what plugins or libraries have left running: {names}. Ctrl-C ends it.", err=True)


def _threads_of_executors() -> dict[threading.Thread, object]:
    threads: Any = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})
    return threads  # type: ignore[no-any-return]


def _processes() -> set[Any]:
    multiprocessing: Any = sys.modules.get("multiprocessing")
    return set() if multiprocessing is None else set(multiprocessing.active_children())


def _end(process: Any) -> None:
    process.terminate()
    process.join(_TIME_TO_END)
    if process.is_alive():
        process.kill()
        process.join(_TIME_TO_END)
