"""Processes that make batches ahead of the training. However loading ends, they are gone soon afterwards.

PyTorch's ``DataLoader`` is not used: it ends its workers with SIGTERM, which they have to ignore, waits up to five
seconds for each, and reports the death of one by an exception at an arbitrary line of the training process.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray
from typing import Any
from weakref import WeakSet

import psutil

from zoo_core.data.batch_maker import BatchMaker, Part
from zoo_core.data.small_tensors import from_arrays
from zoo_core.data.started_processes import StartedProcesses
from zoo_core.data.worker_loop import NOT_ENDING, loaded, not_passed, work
from zoo_core.dataset import Batch
from zoo_core.errors import RunFailed, ZooError, raised
from zoo_core.fingerprint.example_errors import (
    MANY_FILES_HINT,
    MEMORY_HINT,
    SHARED_MEMORY_HINT,
    SentError,
)

_PREFETCH = 2  # batches that each worker makes ahead, as DataLoader
_GRACE = 1.0  # seconds that a worker has to finish what it does before it is killed
_POLL = 0.1  # seconds between two looks at whether the run stops
_SAY_AFTER = 60.0  # seconds without a batch after which the run says so; then after twice as many, and so on
starting = threading.Event()
"""Set while a process is started: an exception raised by a signal handler would be lost in what Python calls then."""


class LoadingStopped(Exception):
    """The run stops, and no longer waits for its batch."""


class WorkerPool:
    """Processes that make the batches of ``parts``: worker w of n makes w, w + n, w + 2 n and so on.

    Each has a pipe of its own, so that killing one at any moment leaves nothing locked. It makes each part that it is
    sent, and otherwise waits.
    """

    def __init__(self, maker: BatchMaker, parts: Sequence[Part], count: int, stopping: Callable[[], bool]) -> None:
        self.maker, self.parts, self.count, self.stopping = maker, parts, count, stopping
        self.workers: list[_Worker] = []
        self._owner = os.getpid()
        self._started = StartedProcesses()

    def __enter__(self) -> WorkerPool:
        _OPEN.add(self)
        try:
            for number in range(self.count):
                self.workers.append(_start(self.maker, number, self.count))
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                raise _not_started(error, self.maker.dataset) from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        """The batches in their order.

        Raises:
            ZooError: if the dataset raises an error, or if a worker ends early.
            LoadingStopped: if the run stops while a batch is waited for.
        """
        ahead = _PREFETCH * self.count
        for number in range(ahead):
            self._send(number)
        for number in range(len(self.parts)):
            batch = self._receive(self.workers[number % self.count])
            self._send(number + ahead)
            yield batch

    def _send(self, number: int) -> None:
        """Have a batch made, if there is one of this number."""
        if number < len(self.parts):
            self.workers[number % self.count].tell((number, self.parts[number]))

    def close(self) -> None:
        """End the workers: those that wait exit by themselves, others are killed after a second."""
        if os.getpid() != self._owner:  # a copy of this process that ends
            return
        started: list[psutil.Process] = []
        try:
            started += self._started.find(self._pids())  # before those that have started it have ended
            for worker in self.workers:
                worker.tell(None)
            last = time.monotonic() + _GRACE
            for worker in self.workers:
                worker.process.join(max(0.0, last - time.monotonic()))
        finally:
            self.kill(started)
            _OPEN.discard(self)

    def kill(self, started: Iterable[psutil.Process] = ()) -> None:
        """End the workers at once, and what the code of the dataset has started in them."""
        if not self.workers:
            return
        started = [*started, *self._started.find(self._pids())]
        for worker in self.workers:
            worker.process.kill()
        self._started.kill(self._pids(), started)
        last = time.monotonic() + _GRACE
        for worker in self.workers:
            worker.leave(max(0.0, last - time.monotonic()))
        self.workers = []

    def _pids(self) -> list[int]:
        return [worker.process.pid for worker in self.workers if worker.process.pid is not None]

    def _receive(self, worker: _Worker) -> Batch:
        sources: list[Connection | int] = [worker.connection, worker.process.sentinel]
        begun, say_at = time.monotonic(), _SAY_AFTER
        while not (ready := multiprocessing.connection.wait(sources, _POLL)):
            if self.stopping():
                self.kill()
                raise LoadingStopped
            if worker.process.exitcode is not None:  # what it has forked keeps its pipes open
                break
            if time.monotonic() - begun > say_at:
                warnings.warn(self._waits_for(worker, say_at), stacklevel=2)
                say_at *= 2
        try:
            if worker.connection not in ready and not worker.connection.poll():
                raise EOFError
            received = worker.connection.recv()
        except Exception as error:
            if self.stopping():
                raise LoadingStopped from error
            worker.process.join(_GRACE)
            raise self._not_received(worker, error) from error
        if isinstance(received, SentError):
            received.raise_again()
        batch: Batch = received
        return from_arrays(batch)

    def _waits_for(self, worker: _Worker, seconds: float) -> str:
        number, index = worker.loading
        what = f"at {loaded(self.maker, self.parts[number], index)}" if number >= 0 else "between two batches"
        return (
            f"{self.maker.dataset} has returned nothing for {seconds:.0f} seconds: loader worker "
            f"{self.workers.index(worker) + 1} of {len(self.workers)}, process {worker.process.pid}, is {what}"
            f"{_state(worker.process.pid)}. The run waits for it."
        )

    def _not_received(self, worker: _Worker, error: Exception) -> ZooError:
        if worker.process.exitcode is not None:
            number, index = worker.loading
            what = loaded(self.maker, self.parts[number], index) if number >= 0 else ""
            return _ended(worker.process.exitcode, self.maker.dataset, what)
        return not_passed(error, self.maker.dataset)


_OPEN: WeakSet[WorkerPool] = WeakSet()  # weak: workers of batches that nobody asks for any more end with them


@atexit.register  # later than multiprocessing, which joins at the exit of Python what still runs
def _close_all() -> None:
    for pool in list(_OPEN):
        pool.close()


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    loading: Any
    """In shared memory: the number of the batch that it makes, and the index of the example that it loads, or -1."""

    def tell(self, message: tuple[int, Part] | None) -> None:
        """Send it the number and the part of a batch to make, or None to end."""
        with suppress(OSError):  # it has ended, which is noticed when its batch is waited for
            self.connection.send(message)

    def leave(self, seconds: float) -> None:
        """Wait until it has ended, or give it up: a file system that does not answer keeps it from being killed."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            multiprocessing.process._children.discard(self.process)  # type: ignore[attr-defined]  # not joined at exit
        else:
            self.process.close()
        self.connection.close()


def _start(maker: BatchMaker, number: int, count: int) -> _Worker:
    context = multiprocessing.get_context()
    ours, theirs = context.Pipe()
    loading = RawArray("q", [-1, -1])
    arguments = (maker, number, count, theirs, loading)
    process = context.Process(target=work, args=arguments, name=f"zoo-loader-{number}", daemon=True)
    try:
        with _held_back():
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()  # so that the end of the worker is the end of the pipe
    return _Worker(process, ours, loading)


@contextmanager
def _held_back() -> Iterator[None]:
    """Inside, signals to end are held back, so that a new process does not get them before it handles them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOT_ENDING)
    starting.set()
    try:
        yield
    finally:
        starting.clear()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_started(error: Exception, dataset: str) -> ZooError:
    if isinstance(error, OSError):
        many = "too many open files" in str(error).lower()
        hint = MANY_FILES_HINT if many else "Use fewer run.workers, or `run.workers=0`."
        return RunFailed(f"the loader workers of {dataset} cannot be started: {raised(error)}.", hint)
    return RunFailed(
        f"{dataset} cannot be sent to loader workers: {raised(error)}.",
        "Make its examples picklable (no lambdas, local classes or open files), or use `run.workers=0`.",
    )


def _ended(exit_code: int, dataset: str, what: str) -> ZooError:
    """The error for a worker that ended by itself, or by a signal, while it loaded ``what``."""
    at = f" while it loaded {what}" if what else ""
    if exit_code >= 0:
        return RunFailed(
            f"a loader worker of {dataset} exited with code {exit_code}{at}.",
            "The code of the dataset, or a library, ended it; `run.workers=0` shows more.",
        )
    name = signal.Signals(-exit_code).name
    hints = {"SIGKILL": MEMORY_HINT, "SIGBUS": f"Shared memory ran out, most likely. {SHARED_MEMORY_HINT}"}
    return RunFailed(
        f"a loader worker of {dataset} was ended by {name}{at}.",
        hints.get(name, "A library that the dataset uses has crashed, most likely; `run.workers=0` shows more."),
    )


def _state(pid: int | None) -> str:
    """What the operating system says about a process that takes long, after a comma, if that explains it."""
    try:
        status = psutil.Process(pid).status()
    except psutil.Error:
        return ""
    if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
        return f", and is stopped by a signal (`kill -CONT {pid}` continues it)"
    return ", and waits for a disk or a file system" if status == psutil.STATUS_DISK_SLEEP else ""
