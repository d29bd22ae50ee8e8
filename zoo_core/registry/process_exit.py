"""``os._exit`` in a command, where the code of plugins may call it: it raises, as ``sys.exit`` does.

It would end the process at once, with the exit code that it is given, whatever is unfinished. Python code in the same
process can get around this, as by ``posix._exit`` or ``os.execv``, but not by mistake.
"""

from __future__ import annotations

import operator
import os
import threading
from typing import Any, NoReturn

from zoo_core.terminal import say_at_once

exit_at_once = os._exit
"""What ``os._exit`` was."""


class ProcessExit(SystemExit):
    """``os._exit`` was called; ``code`` is the exit code that it was given."""

    def __str__(self) -> str:
        return f"os._exit({self.code}) was called"


def raise_instead_of_exit() -> None:
    """From now on, ``os._exit`` raises ProcessExit in this process; those that it forks end as they should.

    In a thread that does not catch it, the process does end, but not with the exit code 0.
    """
    owner, end_of_thread = os.getpid(), threading.excepthook

    def _exit(status: int) -> NoReturn:
        if os.getpid() != owner:
            exit_at_once(status)
        raise ProcessExit(operator.index(status))

    def excepthook(ended: threading.ExceptHookArgs) -> None:
        if isinstance(ended.exc_value, ProcessExit):
            from zoo_core.fingerprint.example_errors import place_of

            name = ended.thread.name if ended.thread else "<unknown>"
            say_at_once(f"error: {ended.exc_value}{place_of(ended.exc_value)}, in the thread '{name}'.")
            say_at_once("  A plugin should raise an error instead of ending the process.")
            exit_at_once(_not_0(ended.exc_value.code))
        end_of_thread(ended)

    os._exit = _exit
    threading.excepthook = excepthook


def exit_as_before(code: int = 0) -> None:
    """From now on, ``os._exit`` ends the process again, with ``code`` instead of 0: that of a command that ends."""
    owner = os.getpid()

    def _exit(status: int) -> NoReturn:
        exit_at_once(_not_0(status, code) if code and os.getpid() == owner else status)

    os._exit = _exit


def _not_0(status: Any, instead: int = 1) -> int:
    """``status`` as the system sees it, which takes its last 8 bits, or ``instead`` of 0."""
    return operator.index(status) & 0xFF or instead
