"""Settings of OpenMP, which runs the threads of an operation."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_LOAD = Path("/proc/loadavg")  # its fourth field states how many threads can run now, of how many
_SAMPLES = 25
_INTERVAL = 0.002  # seconds
_BUSY = 0.5  # mean number of other threads that can run; a process that computes on one core causes 1
_BUSY_LOAD = 1.0  # one-minute load average that one other computing process causes
_SPIN_COUNT = "1000"  # a few microseconds


def limit_spin_wait() -> None:
    """Let OpenMP threads sleep early while they wait for each other, if the machine is busy.

    By default, libgomp spins for milliseconds, on a core that the awaited thread or another process may need; two
    trainings at once then each take more than twice as long as one that has the machine to itself. On an idle machine,
    sleeping early costs a seventh of the speed, so it is used on busy ones only (benchmarks/beside_another.py).
    ``GOMP_SPINCOUNT`` and ``OMP_WAIT_POLICY`` take precedence. Takes 50 milliseconds, and has no effect once torch is
    imported.
    """
    decided = "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ
    if not decided and "torch" not in sys.modules and is_busy():
        os.environ["GOMP_SPINCOUNT"] = _SPIN_COUNT


def is_busy() -> bool:
    """Whether other processes compute now.

    The load average is not asked: for a minute or two it remembers work that has ended. In a container, the processes
    counted may be those of the whole machine. Other processes of the same run are not counted. Where the number of
    running threads is not known, as on macOS, the load average decides.
    """
    if running := running_threads():
        processes = os.environ.get("LOCAL_WORLD_SIZE", "1")  # that are launched at the same time as this one
        return running - (int(processes) if processes.isdecimal() else 1) >= _BUSY
    return hasattr(os, "getloadavg") and os.getloadavg()[0] >= _BUSY_LOAD


def running_threads() -> float:
    """The mean number of threads, this one included, that have run or could have run in the last milliseconds.

    0 if it is not known.
    """
    total = 0
    for _ in range(_SAMPLES):
        try:
            total += int(_LOAD.read_text().split()[3].partition("/")[0])
        except (OSError, IndexError, ValueError):
            return 0
        time.sleep(_INTERVAL)
    return total / _SAMPLES
