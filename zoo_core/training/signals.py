"""SIGINT, SIGTERM and SIGHUP stop a run after the current step, or in the middle of one that takes too long."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zoo_core.checkpoint.names import steps_in
from zoo_core.config.command_line import resume_command
from zoo_core.engine import shutdown
from zoo_core.engine.rank import is_rank_zero, launcher_has_ended
from zoo_core.errors import RunStopped
from zoo_core.runs.run import LAUNCHER_ENDED, TIME_LIMIT, Run
from zoo_core.runs.sessions import record_end

_SIGNALS = {**shutdown.EXIT_CODES, LAUNCHER_ENDED: shutdown.EXIT_CODES["SIGTERM"]}  # its processes get SIGTERM
EXIT_CODES = {**_SIGNALS, TIME_LIMIT: 124}  # 124 as timeout(1) has it
_LATE = 0.5  # seconds by which a signal may reach this process later than a child that it has ended


@contextmanager
def stops_on_signal(run: Run) -> Iterator[None]:
    """Inside, a signal sets ``run.stopping`` to its name.

    In a command, the process ends if the run has not ended by itself some seconds later: what is saved then is the last
    checkpoint. In a program of a user, which Python's handlers may not end, a second signal raises KeyboardInterrupt.
    """
    if shutdown.ends_on_signals():
        begun = run.step  # in the first step after it, which may wait for a compiler, there is nothing to save
        work = shutdown.Work(
            lambda name: _ask(run, name), lambda name: _last_words(run, name), loses_nothing=lambda: run.step == begun
        )
        with shutdown.working(work):
            yield
    elif threading.current_thread() is threading.main_thread():
        with _handlers(run):
            yield
    else:  # Python handles signals in the main thread only
        yield


class Interrupted(BaseException):
    """A signal came while the run waited for data. Not an Exception, so that a dataset does not catch it."""


@contextmanager
def interruptible(run: Run) -> Iterator[None]:
    """Inside, a signal raises Interrupted, since what is done there need not be finished to save the run."""
    if run.stopping in _SIGNALS:
        raise Interrupted
    _interruptible.add(id(run))
    try:
        yield
    finally:
        _interruptible.discard(id(run))


_interruptible: set[int] = set()


def _reason(name: str) -> str:
    """Why a run is stopped that got a signal."""
    return LAUNCHER_ENDED if name == "SIGTERM" and launcher_has_ended.is_set() else name


def _ask(run: Run, name: str) -> None:
    run.stop(_reason(name))
    workers = sys.modules.get("zoo_core.data.workers")  # not imported here, since commands without torch import this
    starting = workers is not None and workers.starting.is_set()
    if id(run) in _interruptible and not starting and threading.current_thread() is threading.main_thread():
        _interruptible.discard(id(run))  # not again, while what was interrupted cleans up
        raise Interrupted


@contextmanager
def _handlers(run: Run) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        if run.stopping:
            raise KeyboardInterrupt
        run.stop(signal.Signals(number).name)

    numbers = [number for name in shutdown.EXIT_CODES if (number := getattr(signal, name, None)) is not None]
    before = {
        number: signal.signal(number, stop)
        for number in numbers
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN  # as under nohup
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def raises_run_stopped(run: Run) -> Iterator[None]:
    """Inside, an error after a signal is RunStopped: the signal may have ended a compiler, a worker or a process, too.

    If it has another cause, it returns when the run is resumed.
    """
    try:
        yield
    except Exception as error:
        if not run.stopping:
            shutdown.receive_within(_LATE)
        if run.stopping not in _SIGNALS:
            raise
        raise _stopped_in_a_step(run, run.stopping) from error


def _stopped_in_a_step(run: Run, name: str) -> RunStopped:
    steps = steps_in(run.folder.checkpoints)
    saved = f"step {steps[-1]:,} is saved" if steps else "no step is saved"
    return RunStopped(
        f"{run.name}: stopped by {name} after step {run.step:,}; {saved}.",
        f"Resume with: {resume_command(run.path)}",
    )


def _last_words(run: Run, name: str) -> str:
    if is_rank_zero():
        record_end(run.folder.sessions, run.step, f"stopped: by {_reason(name)}")
    error = _stopped_in_a_step(run, _reason(name))
    return f"{error.message} {error.hint}"


@contextmanager
def stops_after(run: Run, seconds: float | None) -> Iterator[None]:
    """Inside, the run is stopped after ``seconds``; None is no limit."""
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
        timer.join()  # a thread that still runs when Python exits aborts the process
