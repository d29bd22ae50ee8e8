"""Start and watch the processes of one run on this machine, with torch.distributed.elastic."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, PContext, Std, start_processes
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from zoo_core.config.command_line import LAUNCHER
from zoo_core.engine.children import kill_all
from zoo_core.engine.rank import LOST
from zoo_core.engine.shutdown import EXIT_CODES, Work, end_on_signals, received, working
from zoo_core.errors import RunFailed
from zoo_core.runs.folder import RunFolder
from zoo_core.runs.sessions import record_cause
from zoo_core.terminal import say_text

# Exit codes of processes that ended because another one had failed, after which they got SIGTERM.
_CONSEQUENCES = (LOST, -signal.SIGUSR1, -signal.SIGTERM, EXIT_CODES["SIGTERM"])
_RESERVE = 0.8  # seconds; the processes themselves have ended before that


def launch(words: Sequence[str], processes: int, folder: Path) -> int:
    """Run ``zoo WORDS`` in ``processes`` processes that train together in ``folder``, and return the exit code.

    A signal is forwarded to all processes, and what has not ended after some seconds is killed. When a process fails,
    the others are ended. If one was ended by a signal, the record of the run says so.

    Raises:
        RunFailed: if a process was ended by a signal.
    """
    # Failures are reported here; its log would report them again.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = ""  # they are handled here
    started, sessions = datetime.now().astimezone(), RunFolder(folder).sessions
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory(prefix="zoo-processes-") as logs:
        quiet = dict.fromkeys(range(1, processes), Std.ALL)
        context = start_processes(
            "zoo",
            sys.executable,
            dict.fromkeys(range(processes), ("-m", "zoo_core", *words)),
            {rank: _environment(rank, processes, store.port) for rank in range(processes)},
            DefaultLogsSpecs(log_dir=logs, redirects=quiet),
        )
        # Those that end because another one has failed must not report a signal that nobody has sent.
        context.close = partial(context.close, death_sig=signal.SIGUSR1)  # type: ignore[method-assign]
        with working(_work(context, partial(record_cause, sessions, started))):
            end_on_signals()  # versions of torch without that setting have replaced the handlers
            result = context.wait(period=0.1)
            assert result is not None  # noqa: S101  # there is no time limit
            if received():
                return _exit_code_of_stopped(result.failures)
            killed = _killed(result.failures, processes)
            if why := killed or _said(result.failures, context, processes):
                record_cause(sessions, started, f"failed: {why}")
            return _exit_code(result.failures, context, processes, killed)


def _environment(rank: int, processes: int, port: int) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // processes)
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # rendezvous at this process's store
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        LAUNCHER: str(os.getpid()),
    }


def _work(context: PContext, record: Callable[[str], object]) -> Work:
    forwarded: list[str] = []

    def forward(name: str) -> None:
        if not forwarded:  # it is called in two threads
            forwarded.append(name)
            kill_all(context.pids().values(), signal.Signals[name])

    def kill(name: str) -> str:
        kill_all(context.pids().values(), signal.SIGKILL)
        record(f"stopped: by {name}")  # unless a process has
        return f"stopped by {name}"

    return Work(forward, kill, _RESERVE)


def _exit_code_of_stopped(failures: dict[int, ProcessFailure]) -> int:
    """The exit code of rank zero, unless it was ended by force, as by another process that has ended."""
    if not failures:
        return 0
    code = failures[0].exitcode if 0 in failures else 0
    return code if code > 0 and code != LOST else EXIT_CODES[received()]


def _cause(failures: dict[int, ProcessFailure]) -> ProcessFailure | None:
    """The process that failed first. One that was ended by a signal makes others fail, too."""
    return min(
        failures.values(),
        key=lambda failure: (failure.exitcode in _CONSEQUENCES, failure.exitcode > 0, failure.local_rank),
        default=None,
    )


def _killed(failures: dict[int, ProcessFailure], processes: int) -> str:
    """``"process 1 of 2 was ended by SIGKILL"``, or "" if no signal ended the process that failed first."""
    cause = _cause(failures)
    if cause is None or cause.exitcode >= 0:
        return ""
    return f"process {cause.local_rank} of {processes} was ended by {signal.Signals(-cause.exitcode).name}"


def _said(failures: dict[int, ProcessFailure], context: PContext, processes: int) -> str:
    """``"process 1 of 2: …"``, the error of the process that failed first; "" of rank zero, which records its own."""
    cause = _cause(failures)
    if cause is None or not cause.local_rank:
        return ""
    lines = _output(cause, context).splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    message = errors[-1] if errors else f"it ended with exit code {cause.exitcode}"
    return f"process {cause.local_rank} of {processes}: {message}"


def _exit_code(failures: dict[int, ProcessFailure], context: PContext, processes: int, killed: str) -> int:
    cause = _cause(failures)
    if cause is None:
        return 0
    if killed:
        raise RunFailed(
            f"{killed}; the other processes were ended, too.",
            "Resume from the last checkpoint with --resume"
            + ("; if memory ran out, lower run.batch_size." if killed.endswith("SIGKILL") else "."),
        )
    if cause.local_rank:
        say_text(f"process {cause.local_rank} of {processes}:\n{_output(cause, context)}", err=True)
    return cause.exitcode


def _output(failure: ProcessFailure, context: PContext) -> str:
    """What a process that failed has written to standard error."""
    return Path(context.stderrs[failure.local_rank]).read_text(encoding="utf-8", errors="replace")
