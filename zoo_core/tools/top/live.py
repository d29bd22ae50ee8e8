"""The live table, updated every second until q or Ctrl-C."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from zoo_core.engine.shutdown import RESTORING, received, working
from zoo_core.tools.top.read import RunStatus
from zoo_core.tools.top.table import table


def watch(read: Callable[[], Sequence[RunStatus]], console: Console, interval: float = 1.0) -> None:
    """Show the runs that ``read`` returns, updated every ``interval`` seconds."""
    with working(RESTORING), _keyboard() as read_key, Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(table(read(), max(1, console.height // 2 - 1)), refresh=True)
                if read_key(interval) == "q":
                    return
        except KeyboardInterrupt:
            if received() in ("", "SIGINT"):
                return
            raise


@contextmanager
def _keyboard() -> Iterator[Callable[[float], str]]:
    """A function that waits up to the given seconds for a key; if stdin is not a terminal, it only waits."""
    try:
        import termios
        import tty

        before = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError, termios.error):

        def wait(seconds: float) -> str:
            time.sleep(seconds)
            return ""

        yield wait
        return

    def read_key(seconds: float) -> str:
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return sys.stdin.read(1) if ready else ""

    tty.setcbreak(sys.stdin)
    try:
        yield read_key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
