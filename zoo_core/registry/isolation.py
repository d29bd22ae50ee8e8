"""Isolation of a plugin that is being loaded: its output goes to stderr, and its time is limited."""

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
    """Not an Exception, so that a plugin that catches all exceptions does not catch it."""


@contextmanager
def guarded() -> Iterator[None]:
    """In this context, standard output goes to standard error, and the block is interrupted after a time limit.

    The limit is $ZOO_PLUGIN_TIMEOUT seconds, 30 by default; 0 is no limit. It works in the main thread of a system
    with SIGALRM.

    Raises:
        BrokenPlugin: if the block took too long.
    """
    seconds = _limit()
    with redirect_stdout(sys.stderr), _redirected_descriptor():
        if not seconds or not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, _end)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second, in case the plugin catches it
        try:
            yield
        except _TooLong:
            raise BrokenPlugin(
                f"it took longer than {seconds:g} s to load.",
                "Allow more time: ZOO_PLUGIN_TIMEOUT=60",
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
    """Redirects output that bypasses ``sys.stdout``: that of C libraries and of subprocesses."""
    try:
        kept = os.dup(1)
    except OSError:  # standard output is closed
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
