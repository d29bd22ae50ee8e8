"""The table, drawn anew every second until q or Ctrl-C."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from zoo_core.tools.top.read import Seen
from zoo_core.tools.top.table import table


def watch(look: Callable[[], Sequence[Seen]], console: Console, every: float = 1.0) -> None:
    """Draw what ``look`` gives, every so many seconds."""
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(table(look(), max(1, console.height // 2 - 1)), refresh=True)
                if pressed(every) == "q":
                    return
        except KeyboardInterrupt:
            return


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits for a key for so many seconds; without a terminal to read from it only waits."""
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

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return sys.stdin.read(1) if ready else ""

    tty.setcbreak(sys.stdin)
    try:
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
