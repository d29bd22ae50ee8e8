"""Signals that are held back while a process forks."""

from __future__ import annotations

import signal
import threading

_held = threading.local()


def hold() -> None:
    """Hold back the signals that end a command from this thread, which is about to fork."""
    _held.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def let_go() -> None:
    """Let this thread, or that of the child, receive what was held back."""
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.before)
