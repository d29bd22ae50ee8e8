"""Text for people: all that zoo writes to standard output and standard error.

A terminal obeys the control characters of what it is sent, and names, paths and values may come from files of others.
Here they are shown escaped, whatever the text is; the colors and the progress line of zoo are added afterwards.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from zoo_core.errors import printable

if TYPE_CHECKING:
    from rich.console import Console


def say(*lines: str, err: bool = False) -> None:
    """Print each of the lines; a line break in one of them is escaped, too."""
    say_text("\n".join(map(printable, lines)), err=err)


def say_text(text: str, *, err: bool = False) -> None:
    """Print a text of several lines, such as YAML or a traceback, whose line breaks and tabs are kept."""
    import click

    click.echo(printable_text(text), err=err, nl=not text.endswith("\n"))


def say_labelled(label: str, color: str, text: str, *, err: bool = False) -> None:
    """Print a text of one or several lines after a label in color."""
    import click

    click.echo(f"{click.style(label, fg=color)} {printable_text(text)}", err=err)


def printable_text(text: str) -> str:
    """``text`` as :func:`say_text` prints it."""
    if text.isprintable():
        return text
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def redraw_line(text: str) -> None:
    """Replace the last line on standard error, which is a terminal, by ``text``; "" leaves it empty."""
    sys.stderr.write(f"\r{printable(text)}\x1b[K")
    sys.stderr.flush()


def say_at_once(line: str) -> None:
    """Print a line on standard error without its buffer, whose lock another thread may hold while the process ends."""
    os.write(2, f"{printable(line)}\n".encode(errors="backslashreplace"))


def console(*, err: bool = False, width: int | None = None) -> Console:
    """A console of rich for tables and live displays. Square brackets in a text are no markup."""
    created: Console = _console_class()(stderr=err, width=width, markup=False, emoji=False, highlight=False)
    return created


@functools.cache
def _console_class() -> Any:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class EscapingConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                if segment.control or segment.text.isprintable():
                    yield segment
                else:
                    yield Segment(printable_text(segment.text), segment.style)

    return EscapingConsole


def escape_messages_of_libraries() -> None:
    """Escape also what Python prints by itself: log records without a handler, and errors that end a thread."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Escaping())
    threading.excepthook = _say_error_of_thread


class _Escaping(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable_text(super().format(record))


def _say_error_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is not SystemExit:
        name = ended.thread.name if ended.thread else "<unknown>"
        trace = traceback.format_exception(ended.exc_type, ended.exc_value, ended.exc_traceback)
        say_text("".join([f"Exception in thread {name}:\n", *trace]), err=True)


def terminal_settings() -> list[Any] | None:
    """The settings of the keyboard, if there is one."""
    try:
        import termios

        return termios.tcgetattr(0)
    except (ImportError, OSError, termios.error):
        return None


def restore_terminal(settings: list[Any] | None) -> None:
    """Undo what a live display has changed: keyboard settings, and the hidden cursor."""
    if settings is not None:
        import termios

        with suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSANOW, settings)
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\r\x1b[K\x1b[?25h")
