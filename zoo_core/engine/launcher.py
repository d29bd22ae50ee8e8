"""Several processes on this machine for one run, started and watched by PyTorch's own launcher of processes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, PContext, Std, start_processes
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from zoo_core.engine.rank import LAUNCHER, LOST
from zoo_core.errors import RunFailed

_CONSEQUENCES = (LOST, -signal.SIGTERM)  # how those end that are told to, or that wait for one that is gone
_GRACE = 10.0  # seconds for a process that should end at once


def launch(words: Sequence[str], processes: int) -> int:
    """``zoo WORDS`` in so many processes that train together; gives the first one's exit code.

    A signal is passed on to all of them. When one fails, the others are ended.

    Raises:
        RunFailed: if a process was ended from outside.
    """
    # Its log would tell in its own words what is told here.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory(prefix="zoo-processes-") as folder:
        quiet = dict.fromkeys(range(1, processes), Std.ALL)
        context = start_processes(
            "zoo",
            sys.executable,
            dict.fromkeys(range(processes), ("-m", "zoo_core", *words)),
            {rank: _surroundings(rank, processes, store.port) for rank in range(processes)},
            DefaultLogsSpecs(log_dir=folder, redirects=quiet),
        )
        patience, stopping = -1.0, False
        while True:
            try:
                result = context.wait(patience, period=0.1)
            except SignalException as stop:  # the second one in a row ends them at once
                patience = _GRACE if stopping else -1
                stopping = True
                _pass_on(stop.sigval, context)
                continue
            if result is not None:
                return _account(result.failures, context, processes)
            _pass_on(signal.SIGKILL, context)


def _surroundings(rank: int, processes: int, port: int) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // processes)
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # they meet in this process's store
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        LAUNCHER: str(os.getpid()),
    }


def _pass_on(number: signal.Signals, context: PContext) -> None:
    for process in context.pids().values():
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue  # it has ended by itself


def _account(failures: dict[int, ProcessFailure], context: PContext, processes: int) -> int:
    if not failures:
        return 0
    # One that was ended from outside may have taken others with it, which then say so in words of their own.
    cause = min(failures.values(), key=lambda one: (one.exitcode in _CONSEQUENCES, one.exitcode > 0, one.local_rank))
    if cause.exitcode < 0:
        name = signal.Signals(-cause.exitcode).name
        raise RunFailed(
            f"process {cause.local_rank} of {processes} was ended by {name}, and the others with it.",
            "Go on from the last checkpoint with --resume"
            + ("; if memory ran out, lower run.batch_size." if name == "SIGKILL" else "."),
        )
    if cause.local_rank:
        said = Path(context.stderrs[cause.local_rank]).read_text(encoding="utf-8", errors="replace")
        click.echo(f"process {cause.local_rank} of {processes}:\n{said}", err=True, nl=False)
    return cause.exitcode
