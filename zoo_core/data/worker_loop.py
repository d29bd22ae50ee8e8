"""What a loader worker does: it makes the batches that the training process asks for."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn

import torch
from torch.utils.data._utils import worker as torch_worker

from zoo_core.data.batch_maker import BatchMaker, Part
from zoo_core.data.small_tensors import as_arrays
from zoo_core.data.started_processes import StartedProcesses, mark_what_is_started
from zoo_core.dataset import Batch
from zoo_core.errors import RunFailed, ZooError, raised
from zoo_core.fingerprint.example_errors import SentError, as_zoo_error, sharing_error

NOT_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that terminals and schedulers send to all processes. They do not end a worker, so that the training process
can finish its step; that one ends it."""
_LOOK = 1.0  # seconds between two looks at whether the parent lives


def work(maker: BatchMaker, number: int, count: int, connection: Connection, loading: Any) -> None:
    """Make the batches that the training process asks for, until it says that there are no more."""
    for one in NOT_ENDING:  # not SIG_IGN, which programs that the dataset starts would inherit
        signal.signal(one, _do_nothing)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NOT_ENDING)
        os.register_at_fork(after_in_child=lambda: _forget(connection))
    mark_what_is_started()
    asked: SimpleQueue[tuple[int, Part] | None] = SimpleQueue()
    ended = threading.Event()
    threading.Thread(target=_listen, args=(connection, asked, ended), name="zoo-listen", daemon=True).start()
    torch.set_num_threads(1)
    # Read by torch.utils.data.get_worker_info, and by default_collate, which then stacks into shared memory.
    dataset: Any = maker.examples
    torch_worker._worker_info = torch_worker.WorkerInfo(id=number, num_workers=count, seed=maker.seed, dataset=dataset)

    with suppress(BrokenPipeError, ConnectionResetError):  # the training process has ended
        # After the last batch it stays until it is ended, since its tensors are fetched from it.
        while (message := asked.get()) is not None and not ended.is_set():
            index, part = message
            loading[:] = [index, -1]
            made = _make(maker, part, loading)
            if connection.closed:
                os._exit(0)  # a copy of the worker that the code of the dataset has forked, and not ended
            _send(connection, made, maker.dataset)
            loading[:] = [-1, -1]


def _make(maker: BatchMaker, part: Part, loading: Any) -> Batch | SentError:
    def note(index: int) -> None:
        loading[1] = index

    try:
        return maker(part, note)
    except ZooError as error:
        return SentError.of(error)
    except BaseException as error:  # even an interruption, which no signal causes in a worker
        known = as_zoo_error(error, maker.dataset, loaded(maker, part, loading[1]))
        known.__cause__ = error
        return SentError.of(known)


def _send(connection: Connection, made: Batch | SentError, dataset: str) -> None:
    try:
        connection.send(made if isinstance(made, SentError) else as_arrays(made))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        connection.send(SentError.of(not_passed(error, dataset)))


def _listen(connection: Connection, asked: SimpleQueue[tuple[int, Part] | None], ended: threading.Event) -> None:
    """Pass on what the training process asks for, which so never waits for the worker to read it. This is a thread.

    As soon as the training process is gone, however it ended, the worker ends, with all that it has started.
    """
    parent, parent_pid, started = multiprocessing.parent_process(), os.getppid(), StartedProcesses()
    assert parent is not None  # noqa: S101  # a worker process has a parent
    sources: list[Connection | int] = [parent.sentinel, connection]
    while True:
        ready = multiprocessing.connection.wait(sources, _LOOK)
        # What else the training process has forked may keep its pipes open.
        if parent.sentinel in ready or os.getppid() != parent_pid:
            _end_all(started)
        if connection in ready:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                _end_all(started)
            if message is None:
                ended.set()  # before what it has asked for until then
            asked.put(message)


def _end_all(started: StartedProcesses) -> NoReturn:
    started.kill([os.getpid()])
    os._exit(1)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


def _forget(connection: Connection) -> None:
    """In a copy of the worker that the code of the dataset forks: it is not connected, and signals end it."""
    connection.close()
    for one in NOT_ENDING:
        signal.signal(one, signal.SIG_DFL)


def not_passed(error: Exception, dataset: str) -> ZooError:
    return sharing_error(error, dataset) or RunFailed(
        f"a loader worker cannot send a batch of {dataset}: {raised(error)}.",
        "Return tensors and numbers, or use `run.workers=0`.",
    )


def loaded(maker: BatchMaker, part: Part, index: int) -> str:
    """What a worker loads: an example, or a batch at once."""
    return maker.describe(index) if index >= 0 else maker.describe(*part.indices)
