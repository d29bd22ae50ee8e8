"""How a command ends on SIGINT, SIGTERM and SIGHUP: within seconds, whatever it is doing at that moment.

Python runs its signal handlers in the main thread between two bytecodes, which a step, a compiler or an import in C may
delay by minutes. The C part of a handler therefore wakes a thread, which asks the work to end, and ends the process if
the work has not done so after a time. What holds Python's global lock in C for that time delays this thread, too.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import NoReturn

from zoo_core.engine.children import kill_children
from zoo_core.engine.held_signals import hold, let_go
from zoo_core.errors import BadSetting
from zoo_core.registry.left_running import name_running_threads
from zoo_core.registry.plugin_streams import moved_above
from zoo_core.registry.process_exit import exit_as_before, exit_at_once
from zoo_core.terminal import restore_terminal, say_at_once, terminal_settings

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
STOP_SECONDS = "ZOO_STOP_SECONDS"  # environment variable: seconds from the first signal to the end of the process
_DEFAULT_SECONDS = 5.0
_WITHOUT_RESULTS = 1.0  # seconds for work that loses nothing if it is ended
_TIME_TO_LEAVE = 0.8  # seconds in which children and temporary files are removed
_REPEAT = 0.5  # seconds in which further signals are the same one: a launcher forwards what its process group received


@dataclass(frozen=True)
class Work:
    """What a signal finds the process doing."""

    ask: Callable[[str], None] | None = None
    """Asks the work to end by itself, given the name of the signal; called in the main thread and in the watching one.
    Without it, the process ends at once, since there is nothing to save."""
    last_words: Callable[[str], str] = lambda name: "interrupted" if name == "SIGINT" else f"stopped by {name}"
    """Records that the process ends in the middle of the work, and returns the line to print. It may run while the main
    thread is in the work, and must not wait for it."""
    reserve: float = 2.0
    """Seconds for ending the process; the work has the others."""
    loses_nothing: Callable[[], bool] = lambda: False
    """Whether the work has done nothing yet that could be saved, and so gets a second only."""
    spares_children: bool = False
    """Whether processes that this one has started outlive it, such as a browser."""


class _Shutdown:
    """The signals that this process received, and what to do about them. There is one."""

    def __init__(self) -> None:
        self.installed = False
        self.seconds = _DEFAULT_SECONDS
        self._numbers: set[int] = set()
        self.received = ""
        """The name of the first signal."""
        self.work = Work()
        self.discards = False
        self.unfinished: list[Callable[[], object]] = []
        """Undoes what a part of the work that has not finished has begun."""
        self._parked = False
        """Whether the main thread waits for the watching one to end the process."""
        self._deadline_of: float | None = None
        self._leaver: int | None = None
        self._leaving = threading.Lock()

    def install(self) -> None:
        """Handle the signals in this process, and in none that it forks."""
        if not self.installed:
            self.installed = True
            self._reader, self._writer = map(moved_above, socket.socketpair())
            self._writer.setblocking(False)
            if hasattr(os, "register_at_fork"):
                # Until it forgets them, a child would report its own signals to the thread of this process.
                os.register_at_fork(before=hold, after_in_parent=let_go, after_in_child=self._forget)
            threading.Thread(target=self._watch, name="zoo-signals", daemon=True).start()
            self._terminal = terminal_settings()
        for name in EXIT_CODES:
            number = getattr(signal, name, None)  # there is no SIGHUP on Windows
            if number is not None and not (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
                signal.signal(number, self._handle)  # under nohup, SIGHUP stays ignored
                self._numbers.add(number)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def renew(self) -> None:
        """Handle again what other code ignores, or has set to its default, since. Its own handlers do no harm."""
        if self.installed and threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                if signal.getsignal(number) in (signal.SIG_IGN, signal.SIG_DFL):
                    signal.signal(number, self._handle)

    def leave(self, code: int | None = None) -> NoReturn:
        """End the process, with its children and temporary files, in at most ``_TIME_TO_LEAVE`` seconds.

        ``code`` is its exit code if it has already said why it ends.
        """
        if not self._leaving.acquire(blocking=False):
            _park()
        self._leaver = threading.get_ident()
        said, code = code is not None, EXIT_CODES[self.received] if code is None else code
        try:
            with suppress(RuntimeError):  # no thread starts while the interpreter ends
                threading.Thread(target=_exit_later, args=(code,), daemon=True).start()
            # The main thread runs on no further than to its next bytecode.
            _thread.interrupt_main(getattr(signal, self.received))
            sys.unraisablehook = lambda _: None  # errors of what the following removes under the work are of no use
            if not said:
                line = self.work.last_words(self.received)
                restore_terminal(self._terminal)
                say_at_once(line)
            for undo in reversed(self.unfinished):
                undo()
            if not self.work.spares_children:
                kill_children()
            atexit._run_exitfuncs()  # temporary folders are deleted by them
        finally:
            exit_at_once(code)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """The Python handler, in the main thread: what follows a signal is not run, or ends soon."""
        if self._leaver == threading.get_ident():
            return
        if self._leaver is not None:
            _park()
        self._ask(signal.Signals(number).name)

    def _ask(self, name: str) -> None:
        parks = self.work.ask is None and threading.current_thread() is threading.main_thread()
        self._parked = self._parked or parks  # before `received`, which the watching thread looks at first
        if not self.received:
            self.received, self._deadline_of = name, time.monotonic() + self.seconds
        if self.work.ask is not None:
            self.work.ask(self.received)
        elif parks:
            _park()
        else:
            self.leave()

    def _watch(self) -> None:
        """Wait for signals and for the deadline. This is a thread."""
        names = {getattr(signal, name): name for name in EXIT_CODES if hasattr(signal, name)}
        first = 0.0
        while True:
            self._reader.settimeout(self._remaining())
            try:
                numbers = self._reader.recv(64)
            except TimeoutError:
                self.leave()
            for number in numbers:
                if number not in names:  # of a signal that is handled elsewhere
                    continue
                if first and time.monotonic() - first > _REPEAT:
                    self.leave()
                # What the main thread has asked already may have ended by now, and must not be taken for other work.
                handled = bool(self.received) and not first and not self._parked
                first = first or time.monotonic()
                if not handled:
                    self._ask(names[number])

    def _remaining(self) -> float | None:
        if self._deadline_of is None:
            return None
        allowed = self.seconds - self.work.reserve
        if self.work.loses_nothing():
            allowed = min(allowed, _WITHOUT_RESULTS)
        return max(0.001, self._deadline_of - self.seconds + allowed - time.monotonic())

    def _forget(self) -> None:
        """In a forked child: signals have their default effect, and wake no thread of the parent."""
        signal.set_wakeup_fd(-1)
        numbers = [number for name in EXIT_CODES if (number := getattr(signal, name, None)) is not None]
        own = [number for number in numbers if signal.getsignal(number) == self._handle]
        for number in own:
            signal.signal(number, signal.SIG_DFL)
        self.installed = False
        let_go()  # what was held back ends the child here; a KeyboardInterrupt in this function would be ignored
        if signal.SIGINT in own:
            signal.signal(signal.SIGINT, signal.default_int_handler)


_shutdown = _Shutdown()


def end_on_signals() -> None:
    """From now on, a signal ends this process: at once, or as the current :func:`working` says.

    Call it in the main thread, and again if something else has replaced the handlers.
    """
    _shutdown.install()


def handle_signals_again() -> None:
    """Let signals end this command that code of a plugin has ignored since :func:`end_on_signals`."""
    _shutdown.renew()


def read_stop_seconds() -> None:
    """Take the time from the first signal to the end of the process from ``ZOO_STOP_SECONDS``; 5 by default.

    Raises:
        BadSetting: if it is not a number of at least 2.
    """
    text = os.environ.get(STOP_SECONDS)
    try:
        seconds = _DEFAULT_SECONDS if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if not 2 <= seconds < float("inf"):
        raise BadSetting(
            f"{STOP_SECONDS} is '{text}', but should be a number of seconds of at least 2.",
            f"Write `{STOP_SECONDS}=30`, or leave it out.",
        )
    _shutdown.seconds = seconds


def ends_on_signals() -> bool:
    """Whether this process is a command that signals end, and not a program of a user, which only uses zoo."""
    return _shutdown.installed


def received() -> str:
    """The name of the first signal that this process received, or ""."""
    return _shutdown.received


def exit_command(code: int) -> NoReturn:
    """End the process with this exit code; after a signal, without what Python does at exit, which may take seconds."""
    exit_as_before(code)
    if not _shutdown.received:
        name_running_threads()
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is closed
            stream.flush()
    _shutdown.leave(code)


def receive_within(seconds: float) -> None:
    """Wait until a signal arrives, for at most ``seconds``; in a command only.

    A signal to many processes, as of a scheduler, may reach a child first, whose end then is an error here.
    """
    end = time.monotonic() + seconds
    while _shutdown.installed and not _shutdown.received and time.monotonic() < end:
        time.sleep(0.02)


@contextmanager
def working(work: Work) -> Iterator[None]:
    """In this context, a signal finds the process at this work, unless it is inside :func:`saves_nothing`."""
    before, _shutdown.work = _shutdown.work, (_shutdown.work if _shutdown.discards else work)
    try:
        yield
    finally:
        _shutdown.work = before


@contextmanager
def saves_nothing() -> Iterator[None]:
    """In this context, a signal ends the process at once, even in the middle of a run, which will be deleted."""
    before, _shutdown.discards = _shutdown.discards, True
    try:
        yield
    finally:
        _shutdown.discards = before


def nothing_left_to_save() -> None:
    """From now on, the current work needs no time to end: a signal ends it at once, also one that came before."""
    if _shutdown.installed:
        _shutdown.work = replace(_shutdown.work, ask=None)
        if _shutdown.received:
            _shutdown.leave()


@contextmanager
def undone_on_signal(undo: Callable[[], object]) -> Iterator[None]:
    """In this context, ``undo`` is called if a signal ends the process."""
    _shutdown.unfinished.append(undo)
    try:
        yield
    finally:
        _shutdown.unfinished.remove(undo)


def _interrupt(_: str) -> None:
    if threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


RESTORING = Work(_interrupt, spares_children=True)
"""Work that ends with KeyboardInterrupt, since it has something to restore: a terminal, the pages of a server."""


def _park() -> NoReturn:
    """Keep this thread from running on while another one ends the process."""
    while True:
        time.sleep(60)


def _exit_later(code: int) -> None:
    time.sleep(_TIME_TO_LEAVE)
    exit_at_once(code)
