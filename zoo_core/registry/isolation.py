"""Around the loading of one plugin: what it prints goes to stderr, and it may not take for ever."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType

from zoo_core.errors import BrokenPlugin

_SECONDS = 30.0  # torch alone may take ten from a slow disk


class _TooLong(BaseException):
    """No Exception: a plugin that handles whatever goes wrong should not handle this."""


@contextmanager
def guarded() -> Iterator[None]:
    """Inside, standard output leads to standard error, and whatever takes longer than a limit is ended.

    The limit is $ZOO_PLUGIN_TIMEOUT seconds, else 30; 0 is none. It needs the main thread of a system with SIGALRM.

    Raises:
        BrokenPlugin: if it took too long.
    """
    seconds = _limit()
    with redirect_stdout(sys.stderr), _redirected_descriptor():
        if not seconds or not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, _end)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second, should the first be caught
        try:
            yield
        except _TooLong:
            raise BrokenPlugin(
                f"it took longer than {seconds:g} s to load.",
                "Give it more time: ZOO_PLUGIN_TIMEOUT=60",
            ) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _limit() -> float:
    try:
        return max(0.0, float(os.environ.get("ZOO_PLUGIN_TIMEOUT", _SECONDS)))
    except ValueError:
        return _SECONDS


def _end(number: int, frame: FrameType | None) -> None:
    raise _TooLong


@contextmanager
def _redirected_descriptor() -> Iterator[None]:
    """The same for what does not go through ``sys.stdout``: C libraries, and processes that are started."""
    try:
        kept = os.dup(1)
    except OSError:  # there is no standard output
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
