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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray
from typing import Any
from weakref import WeakSet

import torch
from torch.utils.data._utils import worker as torch_worker

from zoo_core.data.batch_maker import BatchMaker, Part
from zoo_core.data.small_tensors import as_arrays, from_arrays
from zoo_core.dataset import Batch
from zoo_core.errors import RunFailed, ZooError, raised
from zoo_core.fingerprint.example_errors import (
    MANY_FILES_HINT,
    MEMORY_HINT,
    SHARED_MEMORY_HINT,
    SentError,
    as_zoo_error,
    sharing_error,
)

_PREFETCH = 2  # batches that each worker makes ahead, as DataLoader
_GRACE = 1.0  # seconds that a worker has to finish what it does before it is killed
_POLL = 0.1  # seconds between two looks at whether the run stops
starting = threading.Event()
"""Set while a process is started: an exception raised by a signal handler would be lost in what Python calls then."""
_IGNORED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


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
        try:
            for worker in self.workers:
                worker.tell(None)
            last = time.monotonic() + _GRACE
            for worker in self.workers:
                worker.process.join(max(0.0, last - time.monotonic()))
        finally:
            self.kill()
            _OPEN.discard(self)

    def kill(self) -> None:
        """End the workers at once."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.process.close()
            worker.connection.close()
        self.workers = []

    def _receive(self, worker: _Worker) -> Batch:
        sources: list[Connection | int] = [worker.connection, worker.process.sentinel]
        while not (ready := multiprocessing.connection.wait(sources, _POLL)):
            if self.stopping():
                self.kill()
                raise LoadingStopped
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

    def _not_received(self, worker: _Worker, error: Exception) -> ZooError:
        if worker.process.exitcode is not None:
            number, index = worker.loading
            what = _loaded(self.maker, self.parts[number], index) if number >= 0 else ""
            return _ended(worker.process.exitcode, self.maker.dataset, what)
        return _not_passed(error, self.maker.dataset)


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


def _start(maker: BatchMaker, number: int, count: int) -> _Worker:
    context = multiprocessing.get_context()
    ours, theirs = context.Pipe()
    loading = RawArray("q", [-1, -1])
    arguments = (maker, number, count, theirs, loading)
    process = context.Process(target=_work, args=arguments, name=f"zoo-loader-{number}", daemon=True)
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
    """Inside, signals to end are held back, so that a new process does not get them before it ignores them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)
    starting.set()
    try:
        yield
    finally:
        starting.clear()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(maker: BatchMaker, number: int, count: int, connection: Connection, loading: Any) -> None:
    """Make the batches that the training process asks for, until it says that there are no more.

    The worker ignores the signals that terminals and schedulers send to all processes, so that the training process can
    finish its step; that one ends it.
    """
    for ignored in _IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _IGNORED)
    _exit_with_parent()
    torch.set_num_threads(1)
    # Read by torch.utils.data.get_worker_info, and by default_collate, which then stacks into shared memory.
    dataset: Any = maker.examples
    torch_worker._worker_info = torch_worker.WorkerInfo(id=number, num_workers=count, seed=maker.seed, dataset=dataset)

    asked: deque[tuple[int, Part]] = deque()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the training process has ended
        while True:
            while connection.poll(0 if asked else None):
                if (message := connection.recv()) is None:
                    return
                asked.append(message)
            # After the last batch it stays until it is ended, since its tensors are fetched from it.
            index, part = asked.popleft()
            loading[:] = [index, -1]
            _send(connection, maker, part, loading)
            loading[:] = [-1, -1]


def _send(connection: Connection, maker: BatchMaker, part: Part, loading: Any) -> None:
    def note(index: int) -> None:
        loading[1] = index

    try:
        batch = maker(part, note)
    except ZooError as error:
        connection.send(SentError.of(error))
        return
    except BaseException as error:  # even an interruption, which no signal causes in a worker
        known = as_zoo_error(error, maker.dataset, _loaded(maker, part, loading[1]))
        known.__cause__ = error
        connection.send(SentError.of(known))
        return
    try:
        connection.send(as_arrays(batch))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        connection.send(SentError.of(_not_passed(error, maker.dataset)))


def _exit_with_parent() -> None:
    """Exit as soon as the training process is gone, however it ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # a worker process has a parent

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="zoo-parent-watch", daemon=True).start()


def _not_started(error: Exception, dataset: str) -> ZooError:
    if isinstance(error, OSError):
        many = "too many open files" in str(error).lower()
        hint = MANY_FILES_HINT if many else "Use fewer run.workers, or `run.workers=0`."
        return RunFailed(f"the loader workers of {dataset} cannot be started: {raised(error)}.", hint)
    return RunFailed(
        f"{dataset} cannot be sent to loader workers: {raised(error)}.",
        "Make its examples picklable (no lambdas, local classes or open files), or use `run.workers=0`.",
    )


def _not_passed(error: Exception, dataset: str) -> ZooError:
    return sharing_error(error, dataset) or RunFailed(
        f"a loader worker cannot send a batch of {dataset}: {raised(error)}.",
        "Return tensors and numbers, or use `run.workers=0`.",
    )


def _loaded(maker: BatchMaker, part: Part, index: int) -> str:
    """What a worker loads: an example, or a batch at once."""
    return maker.describe(index) if index >= 0 else maker.describe(*part.indices)


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
