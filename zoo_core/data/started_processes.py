"""The processes that the code of a dataset starts, such as decoders, which end with the process that it runs in.

An operating system lets them live on when that process ends. Those of a loader worker are found again as descendants
of the worker while it lives, and otherwise by what they inherit from it: its process group, an environment variable,
and its name. A process can leave any of these, but hardly all. Of the training process, children that inherit the
signals which a thread blocks while it runs code of the dataset are those of the dataset; what other code starts in it
is left alone.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_WORKER = "ZOO_LOADER_WORKER"  # environment variable in a worker: its process ID
_ROUNDS = 20  # of looking for processes that were started while others were killed
_PAUSE = 0.02  # seconds between two of them


def mark_what_is_started() -> None:
    """From now on, what this process, a loader worker, starts is found by :class:`StartedProcesses`."""
    os.environ[_WORKER] = str(os.getpid())
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
        # The group is not that of the terminal, whose settings a program may try to change: that must not stop it.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    with suppress(OSError):  # there is none on macOS
        Path("/proc/self/comm").write_text(_name(os.getpid()), encoding="ascii")


class StartedProcesses:
    """What loader workers start after this was made."""

    def __init__(self) -> None:
        import psutil

        self._others = set(psutil.pids())

    def find(self, workers: Collection[int]) -> list[psutil.Process]:
        """The processes that live and that ``workers``, given by their process IDs, have started."""
        import psutil

        found: dict[int, psutil.Process] = {}
        parents: dict[int, int] = {}
        theirs = set(workers)
        for pid in set(psutil.pids()) - self._others - theirs - {os.getpid()}:
            with suppress(psutil.Error, OSError):
                found[pid] = psutil.Process(pid)
                parents[pid] = found[pid].ppid()
                if _is_marked(found[pid], workers):
                    theirs.add(pid)
        while more := {pid for pid, parent in parents.items() if parent in theirs} - theirs:
            theirs |= more
        return [found[pid] for pid in theirs - set(workers) if _is_to_be_ended(found[pid])]

    def kill(self, workers: Collection[int], known: Iterable[psutil.Process] = ()) -> None:
        """Kill what ``workers`` have started: what is found now, and ``known``, which was found before."""
        import psutil

        found = [*known, *self.find(workers)]
        for _ in range(_ROUNDS):
            for process in found:
                with suppress(psutil.Error):
                    process.kill()
            if not (found := self.find(workers)):
                break
            time.sleep(_PAUSE)


@contextmanager
def ended_at_exit() -> Iterator[None]:
    """What this thread starts inside is killed when Python exits. On Linux; elsewhere it is not known.

    What other threads start meanwhile is not. A thread has no environment of its own to mark with, but a mask of
    signals, which all that it starts inherits.
    """
    if _SIGNAL is None or _STARTED_SO:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [_SIGNAL])
    try:
        yield
    finally:
        if _SIGNAL not in before:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [_SIGNAL])


_SIGNAL = signal.SIGRTMAX - 7 if sys.platform == "linux" else None  # that nobody sends
# A command that a dataset starts can't tell what its own one has started.
_STARTED_SO = _SIGNAL is not None and _SIGNAL in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@atexit.register
def _end_at_exit() -> None:
    import psutil

    if _SIGNAL is None or _STARTED_SO:
        return
    for child in psutil.Process().children():
        with suppress(psutil.Error, OSError):
            if _blocks(child.pid, _SIGNAL):
                for one in filter(_is_to_be_ended, [child, *child.children(recursive=True)]):
                    with suppress(psutil.Error):
                        one.kill()


def _blocks(pid: int, number: int) -> bool:
    """Whether a process blocks this signal."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    mask = next(line.split()[1] for line in lines if line.startswith("SigBlk:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def ends_by_itself(words: Sequence[str]) -> bool:
    """Whether a process with this command line ends after those that use it, and then removes what they have left."""
    return "multiprocessing.resource_tracker" in " ".join(words) or Path(words[0]).name == "torch_shm_manager"


def _name(worker: int) -> str:
    """The name that copies of a worker inherit; Linux keeps 15 characters."""
    return f"loader-{worker}"


def _is_marked(process: psutil.Process, workers: Collection[int]) -> bool:
    import psutil

    if hasattr(os, "getpgid") and os.getpgid(process.pid) in workers:
        return True
    with suppress(psutil.Error):  # of another user
        if process.environ().get(_WORKER) in [str(pid) for pid in workers]:
            return True
    return process.name() in [_name(pid) for pid in workers]


def _is_to_be_ended(process: psutil.Process) -> bool:
    import psutil

    try:
        words = process.cmdline()
        return process.status() != psutil.STATUS_ZOMBIE and not (words and ends_by_itself(words))
    except psutil.Error:  # it has ended
        return False
